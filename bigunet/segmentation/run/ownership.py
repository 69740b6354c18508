"""Which folders at a place belong to runs of bigunet, and which are of others. It only looks."""

from __future__ import annotations

import os
from pathlib import Path

from bigunet.errors import OutputError
from bigunet.io.output.publish import was_published
from bigunet.io.output.table_group import MADE_BY_KEY, VERB_KEY, table_attributes
from bigunet.segmentation.output_kinds import OBJECT_LABELS, OBJECT_TABLES, TABLES_FOLDER
from bigunet.segmentation.place import RUN_FOLDER, Place
from bigunet.segmentation.run.record_files import (
    is_output_name,
    is_partial,
    is_record_name,
    is_table_name,
    is_zarr_name,
    ledger_path,
)

_TABLE_FILES = {"table.parquet", "table.csv"}


def is_occupied(target: Path) -> bool:
    """Whether there is a file, or a folder that is not empty."""
    if target.is_dir():
        return any(target.iterdir())
    return os.path.lexists(target)


def is_output(target: Path) -> bool:
    """Whether a run of bigunet wrote all that the folder of a record holds."""
    record = target / RUN_FOLDER
    if not record.is_dir() or not all(is_record_name(path.name) for path in record.iterdir()):
        return False
    if not all(is_output_name(entry.name) for entry in target.iterdir()):
        return False
    tables = target / TABLES_FOLDER
    if tables.is_dir() and not all(is_table_name(entry.name) for entry in tables.iterdir()):
        return False
    # A run that was killed at its very first step leaves an empty record. Any other record
    # without a ledger may belong to something else.
    whole = (entry for entry in record.iterdir() if not is_partial(entry.name))
    return ledger_path(target).is_file() or not any(whole)


def owned_others(place: Place) -> tuple[str, ...]:
    """Paths of the groups beside the record that runs of bigunet wrote into the image."""
    return tuple(group for group in place.possible_others if _is_ours(place, group))


def foreign_others(place: Place) -> tuple[str, ...]:
    """Paths of the groups that the run would write, but that others made or that lead elsewhere."""
    return tuple(
        group
        for group in place.others
        if not _is_real(place, group)
        or (is_occupied(Path(place.store, group)) and not _is_ours(place, group))
    )


def _is_ours(place: Place, group: str) -> bool:
    folder = Path(place.store, group)
    if not folder.is_dir() or not _is_real(place, group):
        return False
    return _is_our_table(place, folder) if group in OBJECT_TABLES else _is_our_label(place, folder)


def _is_our_label(place: Place, folder: Path) -> bool:
    """Whether a label has a mark of a run, or our metadata, and holds nothing of others."""
    mark = folder / RUN_FOLDER
    if not all(is_output_name(entry.name) for entry in folder.iterdir()):
        return False
    if mark.is_dir():
        return all(is_zarr_name(e.name) or is_partial(e.name) for e in mark.iterdir())
    return was_published(place.store, OBJECT_LABELS)


def _is_our_table(place: Place, folder: Path) -> bool:
    names = {entry.name for entry in folder.iterdir()}
    if not all(n in _TABLE_FILES or is_zarr_name(n) or is_partial(n) for n in names):
        return False
    try:
        attributes = table_attributes(place.store, folder.name)
    except OutputError:
        attributes = {}
    if not attributes:
        # A table that lost its metadata is ours if its labels are.
        return _is_ours(place, OBJECT_LABELS)
    # The verb measure makes tables, too: they belong to whoever called it.
    made_by = attributes.get(MADE_BY_KEY)
    return isinstance(made_by, dict) and made_by.get(VERB_KEY) == "segment"


def _is_real(place: Place, group: str) -> bool:
    """Whether no link leads from the group to elsewhere."""
    expected = os.path.normpath(os.path.join(os.path.realpath(place.store), group))
    return os.path.realpath(Path(place.store, group)) == expected
