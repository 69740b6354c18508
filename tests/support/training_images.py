"""Small pairs of images and labels on disk, and a recipe that takes a second."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from PIL import Image
from support.discs import discs, grey_of

from bigunet import Recipe, TrainOptions

BIGUNET = Path(sys.executable).with_name("bigunet")
OPTIONS = TrainOptions(width=4, depth=1, dropout=0.0, loaders=0, validation=0.25)
RECIPE = Recipe(
    steps=6,
    batch=2,
    patch=24,
    optimiser="adamw",
    learning_rate=0.01,
    class_balance=0.5,
    validate_every=2,
    border_sigma=2.0,
)


def quick(**changes: Any) -> Recipe:
    return replace(RECIPE, **changes)


def write_folders(folder: Path, *, count: int = 4, shape: Sequence[int] = (60, 50)) -> None:
    """Write the folders ``images`` and ``labels`` with PNG files."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for k in range(count):
        labels = discs(shape, seed=k)
        Image.fromarray(grey_of(labels)).save(folder / "images" / f"{k}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{k}.png")


def write_array(path: Path, voxels: np.ndarray, scale: Sequence[float] = ()) -> None:
    """Write an OME-Zarr image of one level; without a scale, a bare array."""
    axes = "zyx"[-voxels.ndim :]
    if not scale:
        array = zarr.create_array(
            str(path), shape=voxels.shape, dtype=voxels.dtype, dimension_names=list(axes)
        )
        array[...] = voxels
        return
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    array = group.create_array(
        "0", shape=voxels.shape, dtype=voxels.dtype, dimension_names=list(axes)
    )
    array[...] = voxels
    named = [{"name": a, "type": "space", "unit": "micrometer"} for a in axes]
    scaling = [{"type": "scale", "scale": list(scale)}]
    datasets = [{"path": "0", "coordinateTransformations": scaling}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": named, "datasets": datasets}]}
