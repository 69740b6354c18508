"""The tables of several images as one table, in which each row says what image it is of.

Rows are read and written a few at a time. A column that only some of the tables have is empty in
the rows of the others: null in Parquet, no text in CSV.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigunet.errors import BigUNetError, OptionError, OutputError
from bigunet.machine.files import replacing
from bigunet.measuring.files import check_suffix, has_parquet
from bigunet.measuring.table_reading import load_pyarrow

_ROWS = 1 << 16
"""Rows of a row group in Parquet, whatever the tables are that they come from."""

_TEXT_ROWS = 1 << 12
"""Rows that are text in memory at a time: they take far more memory than columns."""


@dataclass(frozen=True, slots=True)
class NamedTable:
    """The table of one image.

    Parameters
    ----------
    names : mapping of str to str
        Columns that say what image it is, with their one value; the same columns in all tables.
    path : Path
        File of the table, ``.csv`` or ``.parquet``.
    """

    names: Mapping[str, str]
    path: Path


def suffix_of(tables: Sequence[NamedTable]) -> str:
    """``.parquet`` if all tables are Parquet, and it can be written here; else ``.csv``."""
    is_parquet = has_parquet() and all(table.path.suffix == ".parquet" for table in tables)
    return ".parquet" if is_parquet else ".csv"


def write_joined_table(tables: Sequence[NamedTable], path: Path) -> None:
    """Write one table of all, as CSV or Parquet, as the suffix says; whole or not at all.

    Parameters
    ----------
    tables : sequence of NamedTable
        At least one; their rows follow one another in this order.
    path : Path

    Raises
    ------
    OptionError
        If the suffix is another one, or Parquet cannot be made of tables that are CSV.
    OutputError
        If a file cannot be read or written.
    """
    check_suffix(path)
    try:
        with replacing(path) as partial:
            join_tables(tables, partial, path.suffix)
    except OSError as error:
        if isinstance(error, BigUNetError):
            raise
        reason = error.strerror or error
        raise OutputError(f"the table {path} cannot be written: {reason}") from error


def join_tables(tables: Sequence[NamedTable], path: Path, suffix: str) -> None:
    """Write one table of all to a new file of this suffix, whatever its name is.

    Raises
    ------
    OptionError, OutputError
        As :func:`write_joined_table`.
    """
    if suffix == ".csv":
        _join_csv(tables, path)
        return
    for table in tables:
        if table.path.suffix == ".csv":
            raise OptionError(f"{table.path} is CSV; name the table of all .csv as well")
    _join_parquet(tables, path)


def _join_csv(tables: Sequence[NamedTable], path: Path) -> None:
    columns = list(dict.fromkeys(name for table in tables for name in _columns(table)))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for table in tables:
            own = _columns(table)
            places = [own.index(name) if name in own else -1 for name in columns]
            for row in _texts(table):
                # The place -1 is that of a value that is missing.
                values = (*table.names.values(), *row, None)
                writer.writerow([values[place] for place in places])


def _columns(table: NamedTable) -> list[str]:
    if table.path.suffix == ".csv":
        with contextlib.closing(_lines(table.path)) as lines:
            own = next(lines, [])
    else:
        own = list(_schema_of(table.path).names)
    return [*table.names, *own]


def _texts(table: NamedTable) -> Iterator[Sequence[Any]]:
    """The rows of a table as CSV has them, without the names of columns."""
    if table.path.suffix == ".csv":
        lines = _lines(table.path)
        next(lines, None)
        yield from lines
        return
    for batch in _batches(table.path, _TEXT_ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns))


def _lines(path: Path) -> Generator[list[str], None, None]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise OutputError(f"cannot read {path}: run with --resume to make it again") from error


def _join_parquet(tables: Sequence[NamedTable], path: Path) -> None:
    arrow, parquet = load_pyarrow()
    schema = _schema(tables)
    with parquet.ParquetWriter(path, schema) as writer:
        held: list[Any] = []
        for table in tables:
            for batch in _batches(table.path, _ROWS):
                held.append(_completed(batch, table.names, schema))
                if sum(map(len, held)) >= _ROWS:
                    rows = arrow.concat_tables(held).combine_chunks()
                    writer.write_table(rows.slice(0, _ROWS))
                    held = [rows.slice(_ROWS)]
        if held:
            writer.write_table(arrow.concat_tables(held).combine_chunks())


def _schema(tables: Sequence[NamedTable]) -> Any:
    """Columns of all tables, each of a type that holds the values of all."""
    arrow, _ = load_pyarrow()
    schema = arrow.schema([(name, arrow.string()) for name in tables[0].names])
    for table in tables:
        own = _schema_of(table.path)
        try:
            schema = arrow.unify_schemas([schema, own], promote_options="permissive")
        except arrow.ArrowException as error:
            raise OutputError(f"{table.path} does not fit the tables before it: {error}") from error
    return schema


def _completed(batch: Any, names: Mapping[str, str], schema: Any) -> Any:
    """The rows of a batch with all columns of the schema, as a table."""
    arrow, _ = load_pyarrow()

    def column(name: str, kind: Any) -> Any:
        if name in names:
            return arrow.repeat(arrow.scalar(names[name], kind), batch.num_rows)
        if name in batch.schema.names:
            return _cast(batch.column(name), kind, name)
        return arrow.nulls(batch.num_rows, kind)

    return arrow.Table.from_arrays([column(f.name, f.type) for f in schema], schema=schema)


def _cast(column: Any, kind: Any, name: str) -> Any:
    arrow, _ = load_pyarrow()
    try:
        return column.cast(kind)
    except arrow.ArrowException as error:
        raise OutputError(
            f"column {name} has values of several types, and not all are {kind}: give --table "
            "FILE.csv"
        ) from error


def _batches(path: Path, num_rows: int) -> Iterator[Any]:
    with _opened(path) as file:
        yield from file.iter_batches(num_rows)


def _schema_of(path: Path) -> Any:
    with _opened(path) as file:
        return file.schema_arrow.remove_metadata()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    arrow, parquet = load_pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (OSError, arrow.ArrowException) as error:
        raise OutputError(f"cannot read {path}: run with --resume to make it again") from error
