"""Number the objects of many blocks with another program: of classes, block by block.

    PYTHON benchmarks/peers/objects.py PEER CLASSES.npy BLOCKS_PER_SIDE

A block of classes is repeated along each axis. The program labels each block, joins what touches,
and makes the final ids of all voxels of each block; these are not stored. ``PYTHON`` has the
packages of the peer. The script prints JSON. A peer may take 8 GB; what needs more is an error.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import resource
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np

MOST_BYTES = 8 * 2**30
Run = Callable[[np.ndarray, int], int]


def bigunet(classes: np.ndarray, side: int) -> int:
    """Fragments, stitching and numbering on the disk, as a run does; one thread."""
    import tempfile

    from bigunet.blocks import BlockGrid
    from bigunet.geometry import Box
    from bigunet.objects.block_fragments import fragments_of_labels, label_block
    from bigunet.objects.numbering import rank
    from bigunet.objects.relabelling import ids_of_labels
    from bigunet.objects.rule import ObjectRule
    from bigunet.objects.scratch import Scratch
    from bigunet.objects.stitching import stitch
    from bigunet.segmentation.instances.fragment_files import FragmentFiles
    from bigunet.segmentation.instances.object_ids import save_ids

    rule = ObjectRule(1, ndim=classes.ndim)
    region = Box.of_shape(tuple(side * n for n in classes.shape))
    grid = BlockGrid(region, classes.shape)
    boxes = [grid.box(index) for index in np.ndindex(*grid.shape)]
    blocks = (fragments_of_labels(label_block(classes, rule), box, region) for box in boxes)
    highest = 0
    with tempfile.TemporaryDirectory() as folder, Scratch(Path(folder)) as scratch:
        numbered = rank(stitch(grid, blocks, scratch=scratch))
        files = FragmentFiles(Path(folder))
        save_ids(files, numbered)
        offsets, all_ids = np.load(files.offsets), np.load(files.ids, mmap_mode="r")
        # A run reads labels that it has stored; here they are made again.
        for begin, end in itertools.pairwise(offsets):
            ids = np.concatenate([np.zeros(1, all_ids.dtype), all_ids[begin:end]])
            highest = max(highest, int(ids_of_labels(label_block(classes, rule), ids).max()))
    return highest


def dask_image(classes: np.ndarray, side: int) -> int:
    """``dask_image.ndmeasure.label`` on the threads of dask."""
    import dask.array as da
    from dask_image.ndmeasure import label

    chunks = tuple((n,) * side for n in classes.shape)
    blocks = da.map_blocks(lambda block_info=None: classes, chunks=chunks, dtype=classes.dtype)
    labels, _ = label(blocks)
    return int(labels.max().compute())


def cellpose(classes: np.ndarray, side: int) -> int:
    """The merging of ``cellpose.contrib.distributed_segmentation``, in one process.

    Its functions are called as its workers and its main function call them. Blocks are labelled by
    scipy instead of its network, so that empty modules can stand for the network and for torch.
    """
    import scipy.ndimage

    for name in ("torch", "cellpose.io", "cellpose.models"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__version__ = "none"  # type: ignore[attr-defined]
    from cellpose.contrib import distributed_segmentation as merging

    indices = list(np.ndindex(*(side,) * classes.ndim))
    faces, used = [], []

    def block(index: tuple[int, ...]) -> tuple[np.ndarray, list[int]]:
        labels = scipy.ndimage.label(classes)[0]
        unique, remap = merging.global_segment_ids(labels, index, (side,) * classes.ndim)
        return unique, remap[1:]

    for index in indices:
        labels, ids = block(index)
        faces.append(merging.block_faces(labels))
        used.append(ids)
    new = merging.determine_merge_relabeling(indices, faces, np.concatenate(used).astype(int))
    return max(int(new[block(index)[0]].max()) for index in indices)


PEERS: dict[str, Run] = {"bigunet": bigunet, "dask-image": dask_image, "cellpose": cellpose}


def versions(peer: str) -> dict[str, str]:
    """Versions of the peer and of what it computes with."""
    names = {"dask-image": ["dask-image", "dask"], "cellpose": ["cellpose", "dask-image"]}
    known = [*names.get(peer, []), "numpy", "scipy"]
    return {name: importlib.metadata.version(name) for name in known}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("classes", type=Path)
    parser.add_argument("side", type=int)
    arguments = parser.parse_args()
    classes = np.load(arguments.classes)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    begun, cpu_begun = time.perf_counter(), time.process_time()
    figures: dict[str, object] = {}
    try:
        figures["objects"] = PEERS[arguments.peer](classes, arguments.side)
    except (MemoryError, OverflowError, ValueError) as error:
        figures["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    figures["seconds"] = round(time.perf_counter() - begun, 2)
    figures["processor_seconds"] = round(time.process_time() - cpu_begun, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(figures | {"peak_memory_bytes": peak, "versions": versions(arguments.peer)}))


if __name__ == "__main__":
    main()
