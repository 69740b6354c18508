"""Convert a block of the FIB-25 data set to an OME-Zarr image with its bodies as labels."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
import zarr

SCORED_PLANES = 40
"""The last planes, which are scored and not used for training."""
VOXEL_SIZE_UM = 0.01


def write_volume(path: Path, volume: np.ndarray) -> None:
    """Write an array (z, y, x) as an OME-Zarr image with one level."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    array = group.create_array(
        "0", shape=volume.shape, chunks=(64,) * 3, dtype=volume.dtype, dimension_names=tuple("zyx")
    )
    array[...] = volume
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [VOXEL_SIZE_UM] * 3}]
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
    parser.add_argument("folder", type=Path, help="with gray*.tif and bodies*.tif")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    for kind, pattern in (("images", "gray*.tif"), ("labels", "bodies*.tif")):
        volume = tifffile.imread(find(options.folder, pattern))
        write_volume(options.out / "train" / f"{kind}.zarr", volume[:-SCORED_PLANES])
        write_volume(options.out / "scored" / f"{kind}.zarr", volume[-SCORED_PLANES:])


if __name__ == "__main__":
    main()
