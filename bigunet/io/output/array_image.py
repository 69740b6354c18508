"""An array as an OME-Zarr image of one level, written part by part, and arrays of an output read.

It knows nothing of where the voxels come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis, ImageDescription
from bigunet.io.output.writing import writing
from bigunet.stores.access import open_array, reading

_PATH = "0"


def write_array_image(
    path: Path, image: ImageDescription, parts: Iterable[tuple[Box, np.ndarray]]
) -> None:
    """Write an image of one level; one part at a time is in memory.

    Chunks of zeros are stored, too: a chunk that is not stored would count as no image.

    Parameters
    ----------
    path : Path
        Of the image, in a folder that exists.
    image : ImageDescription
        Its axes, with units, its channel names, and its only level.
    parts : iterable of (Box, ndarray)
        Boxes along the axes as they are stored, which make up the image, and their voxels.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    level = image.levels[0]
    outer = Box.of_shape(level.shape)
    with writing(str(path)):
        group = zarr.open_group(str(path), mode="w-", zarr_format=3)
        group.attrs["ome"] = _metadata(image)
        array = group.create_array(
            _PATH,
            shape=level.shape,
            chunks=level.chunks,
            dtype=level.dtype,
            compressors=BloscCodec(cname="lz4", clevel=1, shuffle="shuffle"),
            dimension_names=[axis.name for axis in image.axes],
            config={"write_empty_chunks": True},
        )
    for box, voxels in parts:
        with writing(str(path)):
            array[box.within(outer)] = voxels


def read_output_array(path: Path) -> np.ndarray:
    """All voxels of a zarr array.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    with reading(str(path)):
        return np.asarray(open_array(str(path))[...])


def _metadata(image: ImageDescription) -> dict[str, Any]:
    scale = {"type": "scale", "scale": list(image.levels[0].scale)}
    content: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [
            {
                "name": image.name,
                "axes": [_axis(axis) for axis in image.axes],
                "datasets": [{"path": _PATH, "coordinateTransformations": [scale]}],
            }
        ],
    }
    if any(image.channel_names):
        content["omero"] = {"channels": [{"label": name} for name in image.channel_names]}
    return content


def _axis(axis: Axis) -> dict[str, str]:
    unit = {} if axis.unit is None else {"unit": axis.unit}
    return {"name": axis.name, "type": axis.type, **unit}
