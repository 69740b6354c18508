"""Split the training stack of ISBI 2012 into slices for training and slices for scoring."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
import zarr

SCORED = (4, 11, 17, 22)
"""Slices for scoring, out of 24; slices 0 to 14 are smooth, 15 to 23 are noisy."""
FEW = {1: (18,), 5: (2, 7, 12, 16, 20)}
"""The smaller training sets: how many slices, and which."""
VOXEL_SIZE_UM = (0.05, 0.004, 0.004)


def write_stack(path: Path, stack: np.ndarray) -> None:
    """Write an array (z, y, x) as an OME-Zarr image with one level."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    array = group.create_array(
        "0",
        shape=stack.shape,
        chunks=(1, *stack.shape[1:]),
        dtype=stack.dtype,
        dimension_names=("z", "y", "x"),
    )
    array[...] = stack
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": list(VOXEL_SIZE_UM)}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}


def find(folder: Path, pattern: str) -> Path:
    """The first file with this name; if there is none, the script ends with one line."""
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise SystemExit(f"{folder} holds no {pattern}; give the folder that holds it")
    return paths[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with train_volume*.tif and train_labels*.tif")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    volume, labels = (
        tifffile.imread(find(options.folder, f"train_{name}*.tif")) for name in ("volume", "labels")
    )
    training = tuple(z for z in range(len(volume)) if z not in SCORED)
    for name, slices in {
        "scored": SCORED,
        f"train-{len(training)}": training,
        **{f"train-{count}": few for count, few in FEW.items()},
    }.items():
        for kind, stack in (("images", volume), ("labels", labels)):
            write_stack(options.out / name / f"{kind}.zarr", stack[list(slices)])


if __name__ == "__main__":
    main()
