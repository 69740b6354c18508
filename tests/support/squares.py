"""An image of bright boxes with labels exactly over them, in two levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

COLOUR = (230, 160, 25)
"""Of the class of the boxes."""
BRIGHT = 200


def write_squares(path: Path, shape: tuple[int, ...], scale: tuple[float, ...]) -> np.ndarray:
    """Write the image, and ``labels/classes`` inside it; the classes come back.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Even numbers along y and x, and along z if there are three.
    scale : tuple of float
        Micrometres.
    """
    noise = np.random.default_rng(1)
    coarse = noise.random(tuple(n // 2 for n in shape)) < 0.2
    classes = coarse
    for axis in range(len(shape)):
        classes = classes.repeat(2, axis)
    levels = [classes.astype(np.uint8), coarse.astype(np.uint8)]
    _write(path, [level * np.uint8(BRIGHT) for level in levels], scale, {"omero": _window()})
    named = [{"label-value": 0, "class": "background"}, {"label-value": 1, "class": "box"}]
    label = {"colors": [{"label-value": 1, "rgba": [*COLOUR, 255]}], "properties": named}
    _write(path / "labels/classes", levels, scale, {"image-label": label})
    listed = {"version": "0.5", "labels": ["classes"]}
    zarr.open_group(path / "labels", mode="a").attrs["ome"] = listed
    return levels[0]


def _window() -> dict[str, Any]:
    window = {"min": 0, "max": 255, "start": 0, "end": BRIGHT}
    return {"channels": [{"label": "boxes", "color": "FFFFFF", "window": window}]}


def _write(
    path: Path, levels: list[np.ndarray], scale: tuple[float, ...], more: dict[str, Any]
) -> None:
    group = zarr.open_group(path, mode="a")
    datasets = []
    for number, voxels in enumerate(levels):
        group.create_array(str(number), data=voxels, chunks=tuple(min(n, 32) for n in voxels.shape))
        factor = 2**number
        steps = [
            {"type": "scale", "scale": [s * factor for s in scale]},
            {"type": "translation", "translation": [s * (factor - 1) / 2 for s in scale]},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    names = "zyx"[-len(scale) :]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in names]
    multiscale = {"name": path.stem, "axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale], **more}
