"""Tables as files: CSV, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import OptionError, OutputError
from bigunet.machine.files import replacing

_ROWS = 1 << 16


def write_table(table: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write a table as CSV or Parquet, as the suffix says; a file that is there is replaced.

    The file is written whole or not at all. Floats in CSV are the shortest text that reads back as
    the same number.

    Parameters
    ----------
    table : mapping of str to ndarray, (rows,)
        Columns, as :func:`bigunet.measure` gives them.
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
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise OptionError(f"a table cannot be written as {path.name}; name it .csv or .parquet")
    try:
        with replacing(path) as partial:
            writers[path.suffix](table, partial)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"the table {path} cannot be written: {reason}") from error


def _write_csv(table: Mapping[str, np.ndarray], path: Path) -> None:
    num_rows = max((len(column) for column in table.values()), default=0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        for begin in range(0, num_rows, _ROWS):
            columns = (column[begin : begin + _ROWS].tolist() for column in table.values())
            writer.writerows(zip(*columns))


def _write_parquet(table: Mapping[str, np.ndarray], path: Path) -> None:
    arrow, parquet = _pyarrow()
    parquet.write_table(arrow.table(dict(table)), path)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise OptionError(
            "Parquet needs pyarrow: pip install 'bigunet[table]', or name the table .csv"
        ) from error
    return pyarrow, pyarrow.parquet
