"""Number the objects of real volumes by blocks, and compare with one pass over the whole.

    python benchmarks/checks/objects_3d.py GRAY.tif BODIES.tif NUCLEI.zarr

GRAY.tif and BODIES.tif are a volume of electron microscopy and its numbered bodies, such as those
of the FlyEM medulla (Takemura et al. 2015, doi:10.1073/pnas.1509820112). NUCLEI.zarr is an OME-Zarr
volume of fluorescent nuclei with numbered objects in ``labels/0``, such as 6001240 of the IDR. The
script segments each with a bundled model, in blocks of three shapes and in one block. It prints the
scores of all, and exits with 1 if a byte differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

import bigunet
from bigunet.metrics.objects import average_precision
from bigunet.metrics.partitions import v_info, v_rand

EM: dict[str, Any] = {
    "model": "em-boundaries",
    "object_class": "interior",
    "border_class": "boundary",
    "border_width": 3,
    "smallest": 100,
}
NUCLEI: dict[str, Any] = {"model": "nuclei", "link_planes": 0.3, "smallest": 200}


def as_zarr(path: Path, volume: np.ndarray) -> Path:
    """Write a volume (z, y, x)."""
    chunks = tuple(min(n, 64) for n in volume.shape)
    array = zarr.create_array(
        path, shape=volume.shape, chunks=chunks, dtype=volume.dtype, dimension_names=("z", "y", "x")
    )
    array[:] = volume
    return path


def objects(
    image: Path, folder: Path, block: tuple[int, ...], options: dict[str, Any]
) -> np.ndarray:
    """Ids of the objects of an image, segmented in blocks of a shape."""
    output = folder / ("x".join(map(str, block)) + ".zarr")
    bigunet.segment(image, output, outputs=["instances"], block_shape=block, precision="fp32",
                    backend="torch", **options)  # fmt: skip
    return np.asarray(zarr.open_array(output / "labels/instances/0", mode="r")[:])


def scores(ids: np.ndarray, truth: np.ndarray) -> str:
    """The scores of numbered objects, as text."""
    precision = average_precision(truth, ids)
    return (
        f"{int(ids.max())} objects of {len(np.unique(truth)) - 1}, AP at IoU 0.5 {precision:.4f}, "
        f"V^Rand {v_rand(ids, truth, thin=False):.4f}, "
        f"V^Info {v_info(ids, truth, thin=False):.4f}"
    )


def compare(
    name: str, image: Path, truth: np.ndarray, folder: Path, options: dict[str, Any]
) -> Iterator[bool]:
    """Segment in one block and in many; yields whether all bytes are equal."""
    whole = objects(image, folder, truth.shape, options)
    print(f"{name} {truth.shape}, one block: {scores(whole, truth)}")
    for divisor in (2, 3, 5):
        block = tuple(n // divisor + 1 for n in truth.shape)
        ids = objects(image, folder, block, options)
        print(f"  blocks of {block}: {scores(ids, truth)}, {(ids != whole).sum()} voxels differ")
        yield ids.tobytes() == whole.tobytes()


def main() -> int:
    """Compare both volumes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gray", type=Path)
    parser.add_argument("bodies", type=Path)
    parser.add_argument("nuclei", type=Path)
    parser.add_argument("--channel", default="0", help="Channel of the nuclei, by name or number.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        em, nuclei = Path(scratch, "em"), Path(scratch, "nuclei")
        em.mkdir()
        nuclei.mkdir()
        gray = as_zarr(em / "gray.zarr", tifffile.imread(given.gray))
        same = list(compare("EM", gray, tifffile.imread(given.bodies), em, EM))
        truth = np.asarray(zarr.open_array(given.nuclei / "labels/0/0", mode="r")[:]).squeeze()
        options = NUCLEI | {"channels": (given.channel,)}
        same += compare("nuclei", given.nuclei, truth, nuclei, options)
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
