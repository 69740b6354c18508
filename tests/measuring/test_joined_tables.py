"""Laws of joined tables: their rows are those of all tables, in order, whatever their columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from bigunet.errors import OptionError, OutputError
from bigunet.measuring import joined_tables
from bigunet.measuring.files import write_table
from bigunet.measuring.joined_tables import NamedTable, suffix_of, write_joined_table

CHANNELS = ("DAPI", "GFP", "RFP")
TYPES = ("uint8", "int16", "uint16", "float32", "float64")


def columns_of(num_rows: int, channels: Sequence[str], kind: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(num_rows)
    grey = {
        f"intensity_max-{name}": rng.integers(0, 99, num_rows).astype(kind) for name in channels
    }
    label = np.arange(1, num_rows + 1)
    texts = {"label": label, "class": np.full(num_rows, "cell"), "area": rng.random(num_rows)}
    return texts | grey | {"cut": label % 2 == 0}


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, np.ndarray]]:
    some = st.lists(st.sampled_from(CHANNELS), unique=True)
    each = st.tuples(st.integers(0, 9), some, st.sampled_from(TYPES))
    return [columns_of(*one) for one in draw(st.lists(each, min_size=1, max_size=5))]


def written(folder: Path, tables: Sequence[dict[str, np.ndarray]], suffix: str) -> list[NamedTable]:
    named = []
    for number, table in enumerate(tables):
        path = folder / f"{number}{suffix}"
        write_table(table, path)
        named.append(NamedTable({"well": f"A{number}", "field": "0"}, path))
    return named


def expected_of(tables: Sequence[dict[str, np.ndarray]]) -> pandas.DataFrame:
    frames = [pandas.DataFrame(table) for table in tables]
    for number, frame in enumerate(frames):
        frame.insert(0, "well", f"A{number}")
        frame.insert(1, "field", "0")
    return pandas.concat(frames, ignore_index=True)


@settings(max_examples=40)
@given(tables=tables(), rows=st.integers(1, 12))
def test_rows_are_those_of_all_tables_and_missing_values_are_missing(
    tmp_path_factory: pytest.TempPathFactory, tables: list[dict[str, np.ndarray]], rows: int
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joined_tables, "_ROWS", rows)
        patch.setattr(joined_tables, "_TEXT_ROWS", rows)
        write_joined_table(written(folder, tables, ".parquet"), folder / "all.parquet")
        write_joined_table(written(folder, tables, ".parquet"), folder / "one.csv")
        write_joined_table(written(folder, tables, ".csv"), folder / "two.csv")
    expected = expected_of(tables)
    read = parquet.read_table(folder / "all.parquet")
    assert read.column_names == list(expected.columns)
    groups = parquet.ParquetFile(folder / "all.parquet").metadata
    assert all(groups.row_group(k).num_rows <= rows for k in range(groups.num_row_groups))
    for name in expected.columns:
        given_values = [None if pandas.isna(v) else v for v in expected[name]]
        assert read[name].to_pylist() == given_values
    assert (folder / "one.csv").read_bytes() == (folder / "two.csv").read_bytes()
    names, *lines = csv.reader((folder / "one.csv").read_text().splitlines())
    assert names == list(expected.columns)
    assert [[bool(text) for text in line] for line in lines] == expected.notna().to_numpy().tolist()
    assert [line[0] for line in lines] == list(expected["well"])


def test_the_joined_table_is_csv_if_one_of_them_is(tmp_path: Path) -> None:
    table = columns_of(3, (), "uint8")
    named = [*written(tmp_path, [table], ".csv"), *written(tmp_path, [table], ".parquet")]
    assert suffix_of(named) == ".csv"
    assert suffix_of(named[1:]) == ".parquet"
    with pytest.raises(OptionError, match=r"is CSV; name the table of all \.csv"):
        write_joined_table(named, tmp_path / "all.parquet")
    write_joined_table(named, tmp_path / "all.csv")
    assert len(pandas.read_csv(tmp_path / "all.csv")) == 6


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_that_cannot_be_read_leaves_the_former_one(tmp_path: Path, suffix: str) -> None:
    named = written(tmp_path, [columns_of(3, (), "uint8")] * 2, ".parquet")
    named[1].path.write_text("no table")
    (tmp_path / f"all{suffix}").write_text("former")
    with pytest.raises(OutputError, match="run with --resume to make it again"):
        write_joined_table(named, tmp_path / f"all{suffix}")
    assert (tmp_path / f"all{suffix}").read_text() == "former"
    assert not list(tmp_path.glob(".*.partial"))
