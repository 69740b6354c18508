"""Reads tables of objects, CSV and Parquet, whole or only their first rows."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import OptionError, OutputError
from bigunet.extras import how_to_add
from bigunet.measuring.grey_columns import Columns

_TEXTS = ("class",)
"""Columns of texts, which may look like numbers."""


def read_table(path: Path, *, most_rows: int | None = None) -> Columns:
    """The columns of a table that `write_table` of `bigunet.measuring.files` wrote, in memory.

    Parameters
    ----------
    path : Path
    most_rows : int, optional
        The first rows, of which so many are read; else all. Later rows are not looked at.

    Raises
    ------
    OutputError
        If the file cannot be read.
    """
    try:
        bands = [*_first_bands(path, most_rows)]
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"the table {path} cannot be read: {reason}") from error
    return {
        name: np.concatenate([_as_text(band[name]) for band in bands])[:most_rows]
        for name in (bands[0] if bands else ())
    }


def _first_bands(path: Path, most_rows: int | None) -> Iterator[Columns]:
    """The bands of a table, as many as have the first rows."""
    if path.suffix == ".csv":
        yield _columns_of_csv(path, most_rows)
        return
    num_rows = 0
    for band in bands_of_parquet(path):
        yield band
        num_rows += max((len(column) for column in band.values()), default=0)
        if most_rows is not None and num_rows >= most_rows:
            return


def _as_text(column: np.ndarray) -> np.ndarray:
    """A column; Parquet's texts come as objects."""
    return column.astype(np.str_) if column.dtype.kind == "O" else column


def _columns_of_csv(path: Path, most_rows: int | None) -> Columns:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        rows = list(itertools.islice(reader, most_rows))
    texts = zip(*rows) if rows else ((),) * len(names)
    return {
        name: np.array(column, np.str_) if name in _TEXTS else _typed(column)
        for name, column in zip(names, texts)
    }


def _typed(texts: Sequence[str]) -> np.ndarray:
    """Whole numbers, floats, booleans or texts, whichever all of them are."""
    if set(texts) <= {"True", "False"}:
        return np.array([text == "True" for text in texts], np.bool_)
    for kind in (np.int64, np.uint64, np.float64):
        with contextlib.suppress(ValueError, OverflowError):
            return np.array([kind(text) for text in texts], kind)
    return np.array(texts, np.str_)


def bands_of_parquet(path: Path) -> Iterator[Columns]:
    """The row groups of a table, one at a time."""
    _, parquet = load_pyarrow()
    with parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group)
            names = rows.column_names
            yield {name: rows[name].to_numpy(zero_copy_only=False) for name in names}


def load_pyarrow() -> tuple[Any, Any]:
    """The package pyarrow, and its part for Parquet.

    Raises
    ------
    OptionError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise OptionError(
            f"Parquet needs pyarrow: {how_to_add('table')}, or name the table .csv"
        ) from error
    return pyarrow, pyarrow.parquet
