"""Image files that pillow reads, such as PNG. A file holds one picture, and is decoded whole."""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image, ImageFile

from bigunet.errors import ImageError
from bigunet.io.files.file_image import FileImage, FileSeries, check_stated, name_of
from bigunet.io.files.open_files import OpenFile, Stamp, decoded_parts
from bigunet.io.images.array_reader import Selection
from bigunet.io.images.axes import axes_of
from bigunet.io.images.channels import COLOURS
from bigunet.io.images.multiscale import Level
from bigunet.stores.access import reading

_DTYPES = {"1": "bool", "L": "uint8", "P": "uint8", "RGB": "uint8", "I": "int32", "F": "float32"}


def describe_picture(series: FileSeries, *, axes: str = "", ask: bool = False) -> FileImage:
    """Describe a picture; no voxel of it is decoded.

    Colours are channels, and opacity is left out. The voxels of a picture with a palette are the
    indices: in microscopy they are grey values, or labels, that a viewer colours.

    Raises
    ------
    ImageError
        If it cannot be read, holds several pictures, or cannot be read without loss.
    """
    url = series.path
    with reading(url), _opened(url) as picture:
        mode, size = _plain_mode(picture, url), picture.size
    series.choose(("the picture",), (0,))
    shape = (size[1], size[0], *((len(COLOURS),) if mode == "RGB" else ()))
    own = "yxc"[: len(shape)]
    check_stated(axes, own, series.url)
    dtype = _DTYPES.get(mode, "uint16")
    ones, zeros = (1.0,) * len(shape), (0.0,) * len(shape)
    return FileImage(
        url=series.url,
        name=name_of(url),
        axes=axes_of(own),
        levels=(Level("", shape, shape, None, dtype, ones, zeros),),
        channel_names=COLOURS if mode == "RGB" else ("",),
        is_label=False,
        is_rgb=mode == "RGB",
        files=(url,),
    )


class OpenPicture(OpenFile):
    """A picture, which is decoded at the first read."""

    def __init__(self, series: FileSeries, stamp: Stamp) -> None:
        self._series = series
        self._stamp = stamp

    def read(self, level: Level, selection: Selection) -> np.ndarray:
        voxels = decoded_parts.get(self._stamp, self._decode)
        if voxels.shape != level.shape:
            raise ImageError(
                f"{self._series.url} has shape {voxels.shape}, but had {level.shape} when it was "
                "opened; open it again"
            )
        return np.array(voxels[selection])

    def close(self) -> None:
        """Nothing is open between reads."""

    def _decode(self) -> np.ndarray:
        url = self._series.path
        with reading(url), _opened(url) as picture:
            mode = _plain_mode(picture, url)
            return np.array(picture if picture.mode == mode else picture.convert(mode))


def _opened(url: str) -> ImageFile.ImageFile:
    """Open a picture of any size. Pillow takes large ones for an attack; microscopes make them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(url)


def _plain_mode(picture: ImageFile.ImageFile, url: str) -> str:
    """Pillow's mode to read it in: its own without opacity; RGB for other spaces of colour."""
    num_frames = getattr(picture, "n_frames", 1)
    if num_frames > 1:
        raise ImageError(f"{url} holds {num_frames} pictures; save them as a TIFF stack")
    mode = picture.mode
    is_plain = mode in _DTYPES or mode.startswith("I;16")
    plain = mode if is_plain else "L" if mode == "LA" else "RGB"
    stored = str(picture.tile[0][3]) if picture.tile else ""
    if "16" in stored and _DTYPES.get(plain) == "uint8":
        raise ImageError(
            f"{url} has 16 bits per colour, of which pillow reads 8; save it as TIFF, or as one "
            "grey PNG per channel"
        )
    return plain
