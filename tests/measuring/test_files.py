"""Tables as files read back as they were."""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import bigunet
from bigunet.errors import OptionError, OutputError
from bigunet.measuring.files import write_table
from bigunet.measuring.table_reading import read_table


@pytest.fixture
def table() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, (20, 30)).astype(np.uint64) * np.uint64(2**58)
    return bigunet.measure(labels, rng.random((2, 20, 30)), voxel_size_um=(0.1, 0.3))


def test_csv_reads_back_to_the_last_bit(tmp_path: Path, table: dict[str, np.ndarray]) -> None:
    write_table(table, tmp_path / "objects.csv")
    names, *rows = csv.reader((tmp_path / "objects.csv").read_text().splitlines())
    assert names == list(table)
    for column, texts in zip(table.values(), zip(*rows)):
        kind = type(column[0].item())
        read = [text == "True" if kind is bool else kind(text) for text in texts]
        assert read == column.tolist()


def test_parquet_reads_back_to_the_last_bit_with_its_types(
    tmp_path: Path, table: dict[str, np.ndarray]
) -> None:
    write_table(table, str(tmp_path / "objects.parquet"))
    read = parquet.read_table(tmp_path / "objects.parquet")
    assert read.column_names == list(table)
    for name, column in table.items():
        back = read[name].to_numpy()
        assert back.dtype == column.dtype
        np.testing.assert_array_equal(back, column)


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    for value in (1, 2):
        write_table({"label": np.array([value])}, tmp_path / "objects.csv")
    assert (tmp_path / "objects.csv").read_text() == "label\n2\n"
    assert [file.name for file in tmp_path.iterdir()] == ["objects.csv"]


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"written as objects.xlsx; name it .csv or .parquet"):
        write_table({}, tmp_path / "objects.xlsx")


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        OptionError,
        match=r"pip install -e '\.\[table\]' in the folder of bigunet, or name the table .csv",
    ):
        write_table({}, tmp_path / "objects.parquet")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none/objects.csv cannot be written: No such file"):
        write_table({}, tmp_path / "none" / "objects.csv")


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.booleans(),
            st.text('ab1,"\n é', min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=5,
    ),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_a_table_is_read_as_it_was_written(rows: list[Any], suffix: str) -> None:
    kinds = {"label": np.uint64, "area": np.float64, "cut": np.bool_, "class": np.str_}
    table = {
        name: np.array(column, kind) for (name, kind), column in zip(kinds.items(), zip(*rows))
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"t{suffix}")
        write_table(table, path)
        back = read_table(path)
    assert list(back) == list(table)
    for name, column in table.items():
        if name == "area" and suffix == ".csv":
            # Floats that are all whole are written with a point, and stay floats.
            assert back[name].dtype == np.float64
        np.testing.assert_array_equal(back[name], column)


@given(
    num_rows=st.integers(1, 9),
    most=st.integers(1, 12),
    band=st.integers(1, 4),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_the_first_rows_are_those_of_the_table_and_later_ones_are_not_read(
    num_rows: int, most: int, band: int, suffix: str
) -> None:
    label = np.arange(1, num_rows + 1, dtype=np.uint64)
    table = {"label": label, "area": label * 1.5, "class": np.array(["a"] * num_rows)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"t{suffix}")
        cuts = range(0, num_rows, band)
        write_table(({n: c[a : a + band] for n, c in table.items()} for a in cuts), path)
        _spoil(path, most, band)
        first = read_table(path, most_rows=most)
    for name, column in table.items():
        np.testing.assert_array_equal(first[name], column[:most])


def _spoil(path: Path, most: int, band: int) -> None:
    """Overwrite what lies behind the first rows, as far as it is in the bands of others."""
    if path.suffix == ".csv":
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: most + 1]) + (b"\0" if len(lines) > most + 1 else b""))
        return
    with parquet.ParquetFile(path) as file:
        groups = range(-(-most // band), file.num_row_groups)
        starts = [file.metadata.row_group(k).column(0).data_page_offset for k in groups]
    if starts:
        content = bytearray(path.read_bytes())
        content[starts[0] : starts[0] + 8] = b"\xff" * 8
        path.write_bytes(content)
