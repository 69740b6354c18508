"""One table for several images or for a plate: the rows of their tables, in the order given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

from bigunet.errors import BigUNetError, OptionError
from bigunet.measuring.files import check_suffix
from bigunet.measuring.joined_tables import NamedTable, write_joined_table
from bigunet.model.description import ModelDescription
from bigunet.segmentation.plan.object_choice import choose_outputs
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport

Outcomes = Generator[tuple[str, SegmentReport | BigUNetError], None, None]


def writes_tables(description: ModelDescription, options: SegmentOptions) -> bool:
    """Whether runs with these options write tables of objects."""
    return "instances" in choose_outputs(description, options) and not options.no_table


def check_table(
    path: Path,
    description: ModelDescription,
    options: SegmentOptions,
    *,
    made: Path | None = None,
) -> None:
    """Refuse a table that will not be there, or cannot be written, before hours of work.

    Parameters
    ----------
    path : Path
    description : ModelDescription
    options : SegmentOptions
    made : Path, optional
        A folder that the run makes, if it is missing.

    Raises
    ------
    OptionError
    """
    check_suffix(path)
    if options.no_table:
        raise OptionError("--table and --no-table contradict each other: give one of them")
    if not writes_tables(description, options):
        raise OptionError(
            "--table: no objects are numbered; give --output instances and --object-class"
        )
    folder = path.absolute().parent
    if not folder.is_dir() and folder != made:
        raise OptionError(f"table {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise OptionError(f"table {path} is a folder; give the name of a file")


def then_tables(
    outcomes: Outcomes, write: Callable[[Mapping[str, Path], Sequence[str]], None]
) -> Outcomes:
    """The same outcomes; after the last one, write what is made of the tables of all.

    Parameters
    ----------
    outcomes : generator of (name, report or error)
    write : callable
        Receives the file of the table of each image that has one, and the names of those that
        failed.
    """
    tables: dict[str, Path] = {}
    failed: list[str] = []
    with contextlib.closing(outcomes):
        for name, outcome in outcomes:
            if not isinstance(outcome, SegmentReport):
                failed.append(name)
            elif outcome.table:
                tables[name] = Path(outcome.table)
            yield name, outcome
    write(tables, failed)


def write_table_of_all(
    tables: Mapping[str, Path], names_of: Callable[[str], Mapping[str, str]], path: Path
) -> None:
    """Write the rows of all tables to a file, CSV or Parquet; nothing if there are no tables.

    Parameters
    ----------
    tables : mapping of str to Path
        File of the table of each image, in the order of the rows.
    names_of : callable
        Columns that say which image a row is of, with their values.
    path : Path

    Raises
    ------
    OptionError, OutputError
        If the table cannot be written.
    """
    named = [NamedTable(names_of(name), table) for name, table in tables.items()]
    if named:
        write_joined_table(named, path)
