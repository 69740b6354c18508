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
from support.object_cases import Case, blocks_of, cases, checkerboard
from support.stitched_in_memory import ids_of_fragments

from bigunet.blocks import BlockGrid
from bigunet.errors import OutputError
from bigunet.geometry import Box
from bigunet.objects import stitching
from bigunet.objects.rule import ObjectRule
from bigunet.objects.scratch import Column
from bigunet.segmentation.instances import object_ids
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_ids import FragmentIds, write_ids
from bigunet.segmentation.instances.object_summary import ObjectSummary


def write_blocks(case: Case, record: Path) -> tuple[ObjectFiles, BlockGrid, ObjectRule]:
    """The files of the stage "label"."""
    grid = BlockGrid(Box.of_shape(case.classes.shape), case.block_shape)
    files = ObjectFiles(record)
    for number, fragments in enumerate(blocks_of(case, grid)):
        files.write_block(number, fragments)
    return files, grid, ObjectRule(1, smallest=2, connectivity=case.connectivity, ndim=case.ndim)


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


@given(cases(), st.sampled_from([1, 5, 2**19]))
def test_ids_that_are_written_batch_by_batch_are_the_file_of_numpy(
    case: Case, batch_size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files, grid, rule = write_blocks(case, Path(folder))
        with small_batches(batch_size):
            write_ids(files, grid, rule)
        expected = ids_of_fragments(
            grid, blocks_of(case, grid), connectivity=case.connectivity, smallest=2
        )
        assert files.ids.read_bytes() == saved(expected)
        assert {path.name for path in files.folder.iterdir()} == {
            "blocks",
            "ids.npy",
            "offsets.npy",
        }
        summary = ObjectSummary.read(files.summary)
        assert summary is not None
        assert summary.num_objects == len(set(expected.tolist()) - {0})
        by_block = [FragmentIds(files).of_block(n)[1:] for n in range(grid.num_blocks)]
        assert np.concatenate(by_block).tolist() == expected.tolist()


def small_batches(batch_size: int) -> mock._patch:
    def stitch(*args: object, **options: object) -> object:
        return stitching.stitch(*args, batch_size=batch_size, **options)  # type: ignore[arg-type]

    return mock.patch.object(object_ids, "stitch", stitch)


def test_a_full_disk_is_an_error_with_advice(tmp_path: Path) -> None:
    case = Case(checkerboard((4, 4)).astype(int), (2, 2))
    files, grid, rule = write_blocks(case, tmp_path)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    message = r"cannot write temporary files in .*: No space left on device; free space there"
    with mock.patch.object(Column, "append", fail), pytest.raises(OutputError, match=message):
        write_ids(files, grid, rule)
    assert not files.ids.exists()
