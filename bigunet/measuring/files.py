"""Tables as files: CSV, and Parquet where pyarrow is installed."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import BigUNetError, OptionError, OutputError
from bigunet.machine.files import replacing
from bigunet.measuring.grey_columns import Columns
from bigunet.measuring.table_reading import bands_of_parquet, load_pyarrow

_ROWS = 1 << 16
"""Rows that are written at a time; in Parquet, those of a row group."""


def write_table(table: Mapping[str, np.ndarray] | Iterable[Columns], path: str | Path) -> None:
    """Write a table as CSV or Parquet, as the suffix says; a file that is there is replaced.

    The file is written whole or not at all. Floats in CSV are the shortest text that reads back as
    the same number.

    Parameters
    ----------
    table : mapping of str to ndarray, (rows,), or iterable of such mappings
        Columns, as :func:`bigunet.measure` gives them, or bands of rows of them (at least one): a
        band at a time is in memory.
    path : str or Path
        Ends in ``.csv`` or ``.parquet``, in a folder that exists.

    Raises
    ------
    OptionError
        If the suffix is another one, or Parquet is asked for without pyarrow.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    check_suffix(path)
    bands = _cut(table) if isinstance(table, Mapping) else table
    try:
        with replacing(path) as partial:
            # A folder that cannot be written ends it before the bands are computed.
            partial.touch()
            with opened_table(partial, path.suffix) as write:
                for band in bands:
                    write(band)
    except OSError as error:
        if isinstance(error, BigUNetError):
            raise
        reason = error.strerror or error
        raise OutputError(
            f"the table {path} cannot be written: {reason}; give another place, or make room there"
        ) from error


def copy_table(source: Path, path: Path) -> None:
    """Write a table that :func:`write_table` wrote to another file, as CSV or Parquet.

    Raises
    ------
    OptionError
        If the suffix is another one, or a CSV table is to become Parquet.
    OutputError
        If a file cannot be read or written.
    """
    check_suffix(path)
    if source.suffix != path.suffix:
        if source.suffix == ".csv":
            raise OptionError(f"{source} is CSV; name the copy .csv as well")
        write_table(bands_of_parquet(source), path)
        return
    try:
        with replacing(path) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"the table {path} cannot be written: {reason}; give another place, or make room there"
        ) from error


def check_suffix(path: Path) -> None:
    """Refuse a table that is to be no CSV and no Parquet, or Parquet without pyarrow.

    Raises
    ------
    OptionError
    """
    if path.suffix not in (".csv", ".parquet"):
        raise OptionError(f"a table cannot be written as {path.name}; name it .csv or .parquet")
    if path.suffix == ".parquet":
        load_pyarrow()


@contextlib.contextmanager
def opened_table(path: Path, suffix: str) -> Iterator[Callable[[Columns], None]]:
    """A function that adds a band of rows to a new file, ``.csv`` or ``.parquet``."""
    opened = _opened_csv if suffix == ".csv" else _opened_parquet
    with opened(path) as write:
        yield write


def has_parquet() -> bool:
    """Whether Parquet can be written here."""
    return importlib.util.find_spec("pyarrow") is not None


def _cut(table: Mapping[str, np.ndarray]) -> Iterator[Columns]:
    num_rows = max((len(column) for column in table.values()), default=0)
    for begin in range(0, max(1, num_rows), _ROWS):
        yield {name: column[begin : begin + _ROWS] for name, column in table.items()}


@contextlib.contextmanager
def _opened_csv(path: Path) -> Iterator[Callable[[Columns], None]]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")

        def write(band: Columns) -> None:
            if not file.tell():
                writer.writerow(band)
            writer.writerows(zip(*(column.tolist() for column in band.values())))

        yield write


@contextlib.contextmanager
def _opened_parquet(path: Path) -> Iterator[Callable[[Columns], None]]:
    arrow, parquet = load_pyarrow()
    with contextlib.ExitStack() as stack:
        opened: list[Any] = []

        def write(band: Columns) -> None:
            columns = [_arrow_array(arrow, column) for column in band.values()]
            rows = arrow.Table.from_arrays(columns, names=list(band))
            if not opened:
                opened.append(stack.enter_context(parquet.ParquetWriter(path, rows.schema)))
            opened[0].write_table(rows)

        yield write


def _arrow_array(arrow: Any, column: np.ndarray) -> Any:
    """A column without missing values; ``pyarrow.array`` would import pandas, if it is there."""
    if column.dtype.kind == "U":
        texts = [text.encode() for text in column.tolist()]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        data, offsets = arrow.py_buffer(b"".join(texts)), arrow.py_buffer(ends)
        return arrow.StringArray.from_buffers(len(texts), offsets, data)
    if column.dtype.kind == "b":
        kind, values = arrow.bool_(), np.packbits(column, bitorder="little")
    else:
        kind, values = arrow.from_numpy_dtype(column.dtype), np.ascontiguousarray(column)
    return arrow.Array.from_buffers(kind, len(column), [None, arrow.py_buffer(values)])
