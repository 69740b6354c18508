"""OME-Zarr images of which the first channel is the class of each voxel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

OBJECTS: dict[str, Any] = {
    "object_class": "cell", "border_class": "border", "backend": "torch", "tile_shape": (32, 32),
    "block_shape": (32, 32), "channels": (0,),
}  # fmt: skip
"""Options that make objects of such an image with the classes of the model of classes."""


def some_classes(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).choice(3, shape, p=[0.5, 0.4, 0.1]).astype(np.uint8)


def write_classes_image(
    path: Path,
    classes: np.ndarray,
    *,
    version: str = "0.5",
    levels: int = 2,
    channels: Sequence[str] = ("classes", "DAPI"),
) -> Path:
    """A 2D image with voxels of 0.5 µm; channels after the first are grey values of 16 bits."""
    grey = np.stack(
        [classes, *(classes * k + np.arange(classes.shape[1]) for k in range(1, len(channels)))]
    )
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    encoding: dict[str, Any] = (
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        if version == "0.4"
        else {"dimension_names": ["c", "y", "x"]}
    )
    datasets = []
    for level in range(levels):
        voxels = grey[:, :: 2**level, :: 2**level].astype(np.uint16)
        array = group.create_array(
            str(level), shape=voxels.shape, chunks=(1, 32, 32), dtype="uint16", **encoding
        )
        array[...] = voxels
        scale = {"type": "scale", "scale": [1.0, 0.5 * 2**level, 0.5 * 2**level]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    image: dict[str, Any] = {"axes": axes, "datasets": datasets}
    content: dict[str, Any] = {
        "multiscales": [image | ({"version": "0.4"} if version == "0.4" else {})],
        "omero": {"channels": [_channel(name) for name in channels]},
    }
    group.attrs.update(content if version == "0.4" else {"ome": content | {"version": "0.5"}})
    return path


def _channel(name: str) -> dict[str, Any]:
    window = {"min": 0, "max": 65535, "start": 0, "end": 500}
    return {"label": name, "color": "FFFFFF", "active": True, "window": window}
