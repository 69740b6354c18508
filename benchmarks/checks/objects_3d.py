"""Number the objects of real volumes by blocks, and compare with one pass over the whole.

    python benchmarks/checks/objects_3d.py GRAY.tif BODIES.tif NUCLEI.zarr

GRAY.tif and BODIES.tif are a volume of electron microscopy and its numbered bodies, such as those
of the FlyEM medulla (Takemura et al. 2015, doi:10.1073/pnas.1509820112). NUCLEI.zarr is an OME-Zarr
volume of fluorescent nuclei with numbered objects in ``labels/0``, such as 6001240 of the IDR. The
script segments each with a bundled model, in blocks of three shapes and in one block. It prints the
scores of all, and exits with 1 if an object differs from that of one pass over the same classes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

import bigunet
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.volume import VolumeReader
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


def segment(
    image: Path, folder: Path, block: tuple[int, ...], options: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Classes of an image, and ids of its objects, segmented in blocks of a shape."""
    output = folder / ("x".join(map(str, block)) + ".zarr")
    bigunet.segment(image, output, outputs=["instances"], block_shape=block, precision="fp32",
                    backend="torch", **options)  # fmt: skip
    arrays = (zarr.open_array(output / f"labels/{k}/0", mode="r") for k in ("classes", "instances"))
    classes, ids = (np.asarray(array[:]) for array in arrays)
    return classes, ids


def scores(ids: np.ndarray, truth: np.ndarray) -> str:
    """The scores of numbered objects, as text."""
    precision = average_precision(truth, ids)
    return (
        f"{int(ids.max())} objects of {len(np.unique(truth)) - 1}, AP at IoU 0.5 {precision:.4f}, "
        f"V^Rand {v_rand(ids, truth, thin=False):.4f}, "
        f"V^Info {v_info(ids, truth, thin=False):.4f}"
    )


def compare(
    name: str,
    image: Path,
    truth: np.ndarray,
    folder: Path,
    options: dict[str, Any],
    whole_objects: Callable[[np.ndarray], np.ndarray],
) -> Iterator[bool]:
    """Segment in one block and in many; yields whether the objects are those of one pass.

    Classes may differ by rounding. Objects are compared with those of the same classes in memory.
    """
    shape = truth.shape
    first: np.ndarray | None = None
    for block in (shape, *(tuple(n // k + 1 for n in shape) for k in (2, 3, 5))):
        classes, ids = segment(image, folder, block, options)
        first = classes if first is None else first
        differing = int((ids != whole_objects(classes)).sum())
        print(
            f"{name} in blocks of {block}: {scores(ids, truth)}; {differing} voxels differ from "
            f"one pass over the classes; {(classes != first).sum()} classes from one block",
            flush=True,
        )
        yield differing == 0


def truth_of(image: Path) -> np.ndarray:
    """The numbered objects of ``labels/0`` at the level of the image's first level (z, y, x)."""
    shape = VolumeReader(open_multiscale(image)).shape
    levels = open_multiscale(image / "labels" / "0")
    fitting = [k for k in range(len(levels.levels)) if levels.volume_shape(k) == shape]
    reader = VolumeReader(levels, level=fitting[0])
    return reader.read(Box.of_shape(shape))[0]


def em_objects(classes: np.ndarray) -> np.ndarray:
    """Objects of the interior, in memory."""
    rules = {key: EM[key] for key in ("border_width", "smallest")}
    return bigunet.label_objects(classes, object_class=1, border=0, **rules)


def nuclei_objects(classes: np.ndarray) -> np.ndarray:
    """Linked nuclei, in memory."""
    rules = {key: NUCLEI[key] for key in ("link_planes", "smallest")}
    return bigunet.label_objects(classes, frames=1, border=2, **rules)


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
        same = list(compare("EM", gray, tifffile.imread(given.bodies), em, EM, em_objects))
        truth = truth_of(given.nuclei)
        options = NUCLEI | {"channels": (given.channel,)}
        same += compare("nuclei", given.nuclei, truth, nuclei, options, nuclei_objects)
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
