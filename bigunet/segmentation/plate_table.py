"""The table in a plate: the rows of the tables of its fields, in the order of the plate.

It lies in ``tables/instances`` of the plate, where ngio reads tables of plates. Its rows are those
of the fields of a run, and of the other fields that were made with the same model and options.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bigunet.errors import BusyError, OutputError
from bigunet.io.images.plates import Plate, open_plate
from bigunet.io.output.publish import is_complete, read_provenance
from bigunet.io.output.table_group import (
    MADE_BY_KEY,
    is_table_whole,
    replacing_table_group,
    table_attributes,
    tables_of,
    withdraw_tables,
)
from bigunet.io.output.writing import writing
from bigunet.machine.locks import folder_lock
from bigunet.measuring.joined_tables import NamedTable, join_tables, suffix_of
from bigunet.segmentation.instances.object_table import table_file_in
from bigunet.segmentation.output_kinds import OBJECT_LABELS, OBJECT_TABLE, TABLES_FOLDER
from bigunet.segmentation.place import INSIDE_GROUP
from bigunet.stores.access import join_url

# These change neither the labels nor what is measured.
_OF_MACHINES = (
    "block_shape", "tile_shape", "slab", "device", "backend", "memory_limit", "tune", "ome_version",
)  # fmt: skip
_PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 0.5


def check_plate_table(plate: Plate) -> None:
    """Refuse to write a table into a plate that has one of another program, or no place for it.

    Raises
    ------
    OutputError
    """
    folder = _folder(plate.url)
    tables_of(plate.url)
    for path in (folder.parent, folder):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise OutputError(f"{path} is no folder of this plate: rename it, or give --no-table")
    if folder.exists() and any(folder.iterdir()) and not _is_ours(plate.url):
        raise OutputError(
            f"{folder} was not made by bigunet, and will not be touched: rename it, or give "
            "--no-table"
        )


def withdraw_plate_table(plate: Plate) -> bool:
    """Remove the table of a plate before the tables of its fields are; one of others stays.

    Returns
    -------
    bool
        Whether there was one.

    Raises
    ------
    OutputError
        If it cannot be removed.
    """
    folder = _folder(plate.url)
    if plate.well or not folder.is_dir():
        return False
    with _alone(plate.url), writing(str(folder)):
        if not folder.is_dir() or not _is_ours(plate.url):
            return False
        withdraw_tables(plate.url, [OBJECT_TABLE])
        # In one step: a half-removed table would look like one of another program.
        removed = folder.with_name(f".{OBJECT_TABLE}.partial")
        shutil.rmtree(removed, ignore_errors=True)
        folder.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)
    return True


def plate_table_file(plate: Plate) -> Path | None:
    """The file of the table of a plate, CSV or Parquet; None if there is none."""
    return None if plate.well else table_file_in(plate.url)


def write_plate_table(
    plate: Plate, tables: Mapping[str, Path], failed: Sequence[str]
) -> tuple[str, ...]:
    """Write the table of a plate; nothing if no field of the run has a table.

    Parameters
    ----------
    plate : Plate
        With the fields of the run, all of them or some.
    tables : mapping of str to Path
        File of the table of each field that the run has done.
    failed : sequence of str
        Fields that failed; whatever they have of earlier runs is left out.

    Returns
    -------
    tuple of str
        Fields that are left out because they were made with another model or other options.

    Raises
    ------
    OutputError
        If a table cannot be read or written; BusyError if another process keeps writing it.
    """
    if plate.well or not tables:
        return ()
    with _alone(plate.url):
        fields = [field for field in open_plate(plate.url).fields if field not in failed]
        made = _made(join_url(plate.url, next(iter(tables))))
        others = {field: _other_table(plate, field) for field in fields if field not in tables}
        alike = {
            field: path
            for field, path in others.items()
            if path is not None and _made(join_url(plate.url, field)) == made
        }
        found = {**alike, **tables}
        _write(plate, [NamedTable(plate.names_of(f), found[f]) for f in fields if f in found])
    return tuple(f for f, path in others.items() if path is not None and f not in alike)


def _write(plate: Plate, tables: Sequence[NamedTable]) -> None:
    check_plate_table(plate)
    suffix = suffix_of(tables)
    attributes = {
        "type": "generic_table",
        "table_version": "1",
        "fractal_table_version": "1",
        "backend": suffix.removeprefix("."),
        MADE_BY_KEY: {"version": version("bigunet")},
    }
    with replacing_table_group(plate.url, OBJECT_TABLE, attributes) as folder:
        join_tables(tables, folder / f"table{suffix}", suffix)


def _other_table(plate: Plate, field: str) -> Path | None:
    """The table of a finished field that is not one of the run; None if it has none of ours."""
    store = join_url(plate.url, field)
    finished = is_complete(store, INSIDE_GROUP) and is_complete(store, OBJECT_LABELS)
    if not finished or not is_table_whole(store, OBJECT_TABLE):
        return None
    return table_file_in(store)


def _made(store: str) -> dict[str, Any]:
    """With which model and options a field was segmented."""
    made = read_provenance(store, INSIDE_GROUP)
    options = made.get("options", {})
    return {
        "model": made.get("model", {}).get("sha256"),
        "options": {name: v for name, v in options.items() if name not in _OF_MACHINES},
    }


def _folder(url: str) -> Path:
    return Path(url, TABLES_FOLDER, OBJECT_TABLE)


def _is_ours(url: str) -> bool:
    try:
        return MADE_BY_KEY in table_attributes(url, OBJECT_TABLE)
    except OutputError:
        return False


@contextlib.contextmanager
def _alone(url: str) -> Iterator[None]:
    """Be the only process that writes the table; runs over other fields may end just now.

    So the run that ends last writes the rows of all of them.
    """
    folder = Path(url, TABLES_FOLDER, f".{OBJECT_TABLE}.lock")
    with contextlib.ExitStack() as stack:
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                stack.enter_context(folder_lock(folder, lambda who: _busy(url, who)))
                break
            except BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL_SECONDS)
        yield


def _busy(url: str, who: str) -> str:
    return f"{who or 'another bigunet'} writes the table of {url}: run with --resume to write it"
