"""A column is a list of numbers, in memory and on the disk."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.objects.scratch import Column, Scratch

numbers = st.lists(st.integers(0, 2**32 - 1), max_size=6)
steps = st.lists(
    st.tuples(st.sampled_from(["append", "write", "read"]), st.integers(0, 9), numbers)
)


@given(steps, st.sampled_from([None, 1, 20, 10**6]))
def test_a_column_holds_what_was_written_last(
    todo: list[tuple[str, int, list[int]]], held: int | None
) -> None:
    expected: list[int] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Scratch(Path(folder), held) if held else Scratch() as scratch,
    ):
        column = scratch.column(np.uint32)
        for step, begin, values in todo:
            if step == "append":
                column.append(np.array(values, np.int64))
                expected += values
            elif step == "write" and values:
                column.write(begin, np.array(values, np.uint32))
                expected += [0] * (begin - len(expected))
                expected[begin : begin + len(values)] = values
            else:
                end = min(begin + len(values), len(expected))
                assert column.read(min(begin, end), end).tolist() == expected[begin:end]
        assert column.read(0, len(column)).tolist() == expected


def test_numbers_that_a_file_has_lost_are_noticed() -> None:
    column = Column(io.BytesIO(), np.dtype(np.int64))
    column.append(np.arange(4))
    column.file.truncate(20)
    with pytest.raises(OSError, match="16 bytes were written, 4 are left"):
        column.read(2, 4)
