"""Images to segment, whatever they are stored as: described, read, and fingerprinted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.files.file_image import FileImage
from bigunet.io.files.rasters import RasterReader, describe_raster, is_raster
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.images.axes import checked_letters
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.identity import Content, content_of, content_of_files
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.images.occupancy import StoredChunks
from bigunet.io.images.volume import VolumeReader
from bigunet.stores.access import normal_url


def open_image(url: str | Path, *, axes: str = "", usual_axes: bool = False) -> ImageDescription:
    """Describe the image at ``url``: OME-Zarr, zarr array, TIFF, PNG or another image file.

    Parameters are those of :func:`bigunet.io.images.discovery.open_multiscale`. Behind the path
    of a file with several images, ``#2`` stands for the image with this index.

    Raises
    ------
    ImageError
        If there is no image or more than one, or if it cannot be read; if its axes are not
        stated, or differ from ``axes``.
    OptionError
        If ``axes`` are no axes of an image, or ``url`` is an array.
    """
    if not isinstance(url, str | Path):
        raise OptionError(
            f"the image is of the type {type(url).__name__}: give a path or a URL; bigunet.predict "
            "segments an array"
        )
    address = normal_url(url)
    if is_raster(address):
        return describe_raster(address, axes=checked_letters(axes), ask=not usual_axes)
    return open_multiscale(address, axes=axes, usual_axes=usual_axes)


def open_level(
    image: ImageDescription, *, level: int = 0, channels: Sequence[int] = (0,)
) -> ArrayReader:
    """Return a reader of some channels of a level of an image that is stored.

    Raises
    ------
    OptionError
        If the image has no such level or channel.
    """
    if isinstance(image, Multiscale):
        return VolumeReader(image, level=level, channels=channels)
    return RasterReader(image, level=level, channels=channels)


def stored_chunks(
    image: ImageDescription, *, level: int = 0, channels: Sequence[int] = (0,)
) -> StoredChunks:
    """What says which voxels of an image are stored.

    Raises
    ------
    OptionError
        If the image is no zarr.
    """
    if isinstance(image, Multiscale):
        return StoredChunks(image, level=level, channels=channels)
    raise OptionError(
        f"skip_empty: {image.url} is no zarr, and all of its voxels count; leave out --skip-empty"
    )


def fingerprint_of(
    image: ImageDescription,
    *,
    level: int = 0,
    channels: Sequence[int] = (),
    region: Box | None = None,
) -> Content:
    """Take the fingerprint of the stored voxels of a level.

    Parameters are those of :func:`bigunet.io.images.identity.content_of`. Of a file, the
    fingerprint covers the whole file.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    if isinstance(image, Multiscale):
        return content_of(image, level=level, channels=channels, region=region)
    files = image.files if isinstance(image, FileImage) else (image.url,)
    return content_of_files(image, files, level=level)
