"""Between the stages: joins the fragments of all blocks, and gives them ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.numbering import ObjectIds, number_objects
from bigunet.objects.pieces import BlockPieces, join_pieces
from bigunet.objects.rule import ObjectRule
from bigunet.objects.stitching import StitchedFragments, stitch
from bigunet.segmentation.instances.fragment_files import FragmentFiles
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_stages import LABEL, SEEDS
from bigunet.segmentation.instances.object_summary import ObjectSummary


def write_ids(stage: str, files: ObjectFiles, grid: BlockGrid, rule: ObjectRule) -> None:
    """Join and number the fragments of all blocks of a stage, and write the id of each fragment.

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
    if stage == SEEDS:
        _save(own, number_objects(_stitched(own, grid, rule)))
        return
    assert stage == LABEL
    joined = join_pieces(_pieces(own, grid)) if rule.split else _stitched(own, grid, rule)
    numbered = number_objects(joined, smallest=rule.smallest)
    _save(own, numbered)
    ObjectSummary(numbered.num_objects, numbered.num_small).write(files.summary)


def _stitched(files: FragmentFiles, grid: BlockGrid, rule: ObjectRule) -> StitchedFragments:
    """Fragments that touch are joined."""
    blocks = (files.blocks.read(k, BlockFragments.from_bytes) for k in range(grid.num_blocks))
    return stitch(grid, blocks, connectivity=rule.connectivity)


def _pieces(files: FragmentFiles, grid: BlockGrid) -> Iterator[BlockPieces]:
    """Pieces of split objects in all blocks, in C order."""
    return (files.blocks.read(k, BlockPieces.from_bytes) for k in range(grid.num_blocks))


def _save(files: FragmentFiles, numbered: ObjectIds) -> None:
    _save_array(files.offsets, numbered.offsets)
    _save_array(files.ids, numbered.ids)


def _save_array(path: Path, values: np.ndarray) -> None:
    with writing(str(path)), replacing(path) as partial, partial.open("wb") as file:
        np.save(file, values, allow_pickle=False)
