"""Between the stages: joins the fragments of all blocks, and gives them ids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.filling import choose_filled
from bigunet.objects.holes import HoleFragments
from bigunet.objects.joining import StitchedFragments
from bigunet.objects.linking import link_objects
from bigunet.objects.numbering import NumberedObjects, rank, sizes_of_objects
from bigunet.objects.overlaps import BlockOverlaps
from bigunet.objects.pieces import BlockPieces, join_pieces
from bigunet.objects.rule import ObjectRule
from bigunet.objects.scratch import Scratch
from bigunet.objects.stitching import stitch
from bigunet.segmentation.instances.fragment_files import FragmentFiles
from bigunet.segmentation.instances.fragment_ids import load_array
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_stages import HOLES, LABEL, LINK, SEEDS
from bigunet.segmentation.instances.object_summary import ObjectSummary

_IDS_AT_ONCE = 2**22


def write_ids(stage: str, files: ObjectFiles, grid: BlockGrid, rule: ObjectRule) -> None:
    """Join and number the fragments of all blocks of a stage, and write the id of each fragment.

    Memory does not grow with the number of objects: what it cannot hold lies in files without names
    beside those of the blocks. Of links, all pairs are in memory.

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
    if stage == LINK:
        _write_linked_ids(files, grid, rule)
        return
    with writing(f"temporary files in {own.folder}"), Scratch(own.folder) as scratch:
        if stage == HOLES:
            blocks = (own.blocks.read(k, HoleFragments.from_bytes) for k in range(grid.num_blocks))
            largest = rule.fill_holes
            save_ids(own, choose_filled(grid, blocks, largest=largest, scratch=scratch))
            return
        if stage == SEEDS:
            save_ids(own, rank(_stitched(own, grid, rule, scratch)))
            return
        assert stage == LABEL
        join = _joined if rule.split else _stitched
        stitched = join(own, grid, rule, scratch)
        numbered = rank(stitched, smallest=0 if rule.links else rule.smallest)
        save_ids(own, numbered)
        if rule.links:
            _save_array(own.sizes, sizes_of_objects(numbered))
        else:
            ObjectSummary(numbered.num_objects, numbered.num_small).write(files.summary)


def _write_linked_ids(files: ObjectFiles, grid: BlockGrid, rule: ObjectRule) -> None:
    """Link the objects, and write the id of the linked object of each fragment."""
    before, own = files.fragments(LABEL), files.fragments(LINK)
    blocks = (own.blocks.read(k, BlockOverlaps.from_bytes) for k in range(grid.num_blocks))
    linked = link_objects(load_array(before.sizes), blocks, rule.links, smallest=rule.smallest)
    unlinked = load_array(before.ids)
    parts = range(0, len(unlinked), _IDS_AT_ONCE)
    batches = ((k, linked.ids[unlinked[k : k + _IDS_AT_ONCE]]) for k in parts)
    _write_ids(own.ids, linked.ids.dtype, len(unlinked), batches)
    _save_array(own.offsets, load_array(before.offsets))
    ObjectSummary(linked.num_objects, linked.num_small).write(files.summary)


def save_ids(files: FragmentFiles, numbered: NumberedObjects) -> None:
    """Write the id of each fragment, batch by batch.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    _save_array(files.offsets, numbered.stitched.offsets)
    count = numbered.stitched.num_fragments
    _write_ids(files.ids, numbered.ids.dtype, count, numbered.of_batches())


def _write_ids(
    path: Path, dtype: np.dtype, count: int, batches: Iterable[tuple[int, np.ndarray]]
) -> None:
    """Write an array from batches, which come in any order, with the place of their first item."""
    described = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": described, "fortran_order": False, "shape": (count,)}
    with _replaced(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        begin = file.tell()
        for first, ids in batches:
            file.seek(begin + first * dtype.itemsize)
            file.write(ids.tobytes())


def _save_array(path: Path, values: np.ndarray) -> None:
    with _replaced(path) as file:
        np.save(file, values, allow_pickle=False)


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
