"""Between the stages: joins the fragments of all blocks, and gives them ids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.joining import StitchedFragments
from bigunet.objects.numbering import NumberedObjects, rank
from bigunet.objects.pieces import BlockPieces, join_pieces
from bigunet.objects.rule import ObjectRule
from bigunet.objects.scratch import Scratch
from bigunet.objects.stitching import stitch
from bigunet.segmentation.instances.fragment_files import FragmentFiles
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_stages import LABEL, SEEDS
from bigunet.segmentation.instances.object_summary import ObjectSummary


def write_ids(stage: str, files: ObjectFiles, grid: BlockGrid, rule: ObjectRule) -> None:
    """Join and number the fragments of all blocks of a stage, and write the id of each fragment.

    Memory does not grow with the number of objects: what it cannot hold lies in files without names
    beside those of the blocks.

    Parameters
    ----------
    stage : str
        One of :func:`object_stages`; the files of all its blocks are written.
    files : ObjectFiles
    grid : BlockGrid
    rule : ObjectRule

    Raises
    ------
    OutputError
        If a file cannot be read or written.
    """
    own = files.fragments(stage)
    with writing(f"temporary files in {own.folder}"), Scratch(own.folder) as scratch:
        if stage == SEEDS:
            save_ids(own, rank(_stitched(own, grid, rule, scratch)))
            return
        assert stage == LABEL
        join = _joined if rule.split else _stitched
        numbered = rank(join(own, grid, rule, scratch), smallest=rule.smallest)
        save_ids(own, numbered)
        ObjectSummary(numbered.num_objects, numbered.num_small).write(files.summary)


def save_ids(files: FragmentFiles, numbered: NumberedObjects) -> None:
    """Write the id of each fragment, batch by batch.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    with _replaced(files.offsets) as file:
        np.save(file, numbered.stitched.offsets, allow_pickle=False)
    dtype, shape = numbered.ids.dtype, (numbered.stitched.num_fragments,)
    described = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": described, "fortran_order": False, "shape": shape}
    with _replaced(files.ids) as file:
        np.lib.format.write_array_header_1_0(file, header)
        begin = file.tell()
        for first, ids in numbered.of_batches():
            file.seek(begin + first * dtype.itemsize)
            file.write(ids.tobytes())


def _stitched(
    files: FragmentFiles, grid: BlockGrid, rule: ObjectRule, scratch: Scratch
) -> StitchedFragments:
    """Fragments that touch are joined."""
    blocks = (files.blocks.read(k, BlockFragments.from_bytes) for k in range(grid.num_blocks))
    return stitch(grid, blocks, connectivity=rule.connectivity, scratch=scratch)


def _joined(
    files: FragmentFiles, grid: BlockGrid, _: ObjectRule, scratch: Scratch
) -> StitchedFragments:
    """Pieces of one seed are joined."""
    blocks = (files.blocks.read(k, BlockPieces.from_bytes) for k in range(grid.num_blocks))
    return join_pieces(blocks, scratch=scratch)


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of ``path`` at the end."""
    with writing(str(path)), replacing(path) as partial, partial.open("wb") as file:
        yield file
