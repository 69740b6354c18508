"""The file of ids is the one that numpy writes, and a full disk is an error with advice."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.object_cases import Case, blocks_of, cases, checkerboard, components_of
from support.stitched_in_memory import ids_of_fragments, ids_of_pieces

from bigunet.blocks import BlockGrid
from bigunet.errors import OutputError
from bigunet.geometry import Box
from bigunet.objects.pieces import pieces_of_block
from bigunet.objects.rule import ObjectRule
from bigunet.objects.scratch import Column
from bigunet.objects.split_rule import SplitRule
from bigunet.segmentation.instances import object_ids
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_ids import write_ids
from bigunet.segmentation.instances.object_stages import LABEL, SEEDS
from bigunet.segmentation.instances.object_summary import ObjectSummary


def write_blocks(
    case: Case, record: Path, stage: str = LABEL
) -> tuple[ObjectFiles, BlockGrid, ObjectRule]:
    """The files of a stage that numbers fragments."""
    grid = BlockGrid(Box.of_shape(case.classes.shape), case.block_shape)
    files = ObjectFiles(record)
    for number, fragments in enumerate(blocks_of(case, grid)):
        files.fragments(stage).blocks.write(number, fragments.to_bytes())
    return files, grid, ObjectRule(1, smallest=2, connectivity=case.connectivity, ndim=case.ndim)


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


@given(cases(), st.sampled_from([1, 5, 2**19]), st.sampled_from([LABEL, SEEDS]))
def test_ids_that_are_written_batch_by_batch_are_the_file_of_numpy(
    case: Case, batch_size: int, stage: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files, grid, rule = write_blocks(case, Path(folder), stage)
        with small_batches("stitch", batch_size):
            write_ids(stage, files, grid, rule)
        expected = ids_of_fragments(
            grid,
            blocks_of(case, grid),
            connectivity=case.connectivity,
            smallest=2 if stage == LABEL else 0,
        )
        own, summary = files.fragments(stage), ObjectSummary.read(files.summary)
        assert own.ids.read_bytes() == saved(expected)
        left = {path.name for path in own.folder.iterdir()}
        assert left == {"blocks", "ids.npy", "offsets.npy"}
        assert (summary is None) == (stage == SEEDS)
        if summary is not None:
            assert summary.num_objects == len(set(expected.tolist()) - {0})


@given(cases(), st.sampled_from([1, 5, 2**19]))
def test_pieces_that_are_joined_batch_by_batch_are_the_file_of_numpy(
    case: Case, batch_size: int
) -> None:
    seeds, _ = components_of(case)
    grid = BlockGrid(Box.of_shape(case.classes.shape), case.block_shape)
    boxes = [grid.box(index) for index in np.ndindex(*grid.shape)]
    pieces = [
        pieces_of_block(seeds[box.within(grid.region)].astype(np.uint32), box, grid.region)[1]
        for box in boxes
    ]
    with tempfile.TemporaryDirectory() as folder:
        files = ObjectFiles(Path(folder))
        own = files.fragments(LABEL)
        for number, of_block in enumerate(pieces):
            own.blocks.write(number, of_block.to_bytes())
        rule = ObjectRule(1, smallest=2, ndim=case.ndim, split=SplitRule())
        with small_batches("join_pieces", batch_size):
            write_ids(LABEL, files, grid, rule)
        assert own.ids.read_bytes() == saved(ids_of_pieces(pieces, smallest=2))
        counts = np.cumsum([0, *(one.num_fragments for one in pieces)])
        assert own.offsets.read_bytes() == saved(counts)


def small_batches(name: str, batch_size: int) -> mock._patch:
    """``name`` of the module with batches of another size."""
    joining = getattr(object_ids, name)

    def join(*args: object, **options: object) -> object:
        return joining(*args, batch_size=batch_size, **options)

    return mock.patch.object(object_ids, name, join)


def test_a_full_disk_is_an_error_with_advice(tmp_path: Path) -> None:
    case = Case(checkerboard((4, 4)).astype(int), (2, 2))
    files, grid, rule = write_blocks(case, tmp_path)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    message = r"cannot write temporary files in .*: No space left on device; free space there"
    with mock.patch.object(Column, "append", fail), pytest.raises(OutputError, match=message):
        write_ids(LABEL, files, grid, rule)
    assert not files.fragments(LABEL).ids.exists()
