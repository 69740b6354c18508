"""The files of a run's record: their names, and which names in a folder a run may have written."""

from __future__ import annotations

import re
from pathlib import Path

from bigunet.segmentation.instances.object_files import OBJECTS_FOLDER, REMOVED_FOLDER, SUMMARY
from bigunet.segmentation.output_kinds import OBJECT_TABLES, OUTPUT_FOLDERS
from bigunet.segmentation.place import RUN_FOLDER
from bigunet.segmentation.report_file import PAGE, REPORT, RUN_FILE

_LEDGER = "ledger.jsonl"
_ZARR_NAMES = {"zarr.json", ".zarray", ".zattrs", ".zgroup"}
_RECORD_NAMES = {
    _LEDGER,
    REPORT,
    PAGE,
    RUN_FILE,
    "report.partial",
    OBJECTS_FOLDER,
    REMOVED_FOLDER,
    SUMMARY,
    *_ZARR_NAMES,
}
_PART_LEDGER = re.compile(r"part-\d+-of-\d+\.jsonl")
# A file that another part writes at this moment, or that a killed writer left.
_PARTIAL = re.compile(r".*\.[0-9a-f]{32}\.partial")
# All that a run writes, without the levels of a label: their names are numbers.
_OUTPUT_NAMES = {RUN_FOLDER, *OUTPUT_FOLDERS, *_ZARR_NAMES}


def ledger_path(target: Path) -> Path:
    """Path of the ledger of the run that writes ``target``."""
    return target / RUN_FOLDER / _LEDGER


def part_ledgers(target: Path) -> list[Path]:
    """Paths of the ledgers of all parts that have begun, sorted."""
    return sorted((target / RUN_FOLDER).glob("part-*-of-*.jsonl"))


def is_partial(name: str) -> bool:
    """Whether this is the name of a file that is not complete."""
    return bool(_PARTIAL.fullmatch(name))


def is_record_name(name: str) -> bool:
    """Whether a run gives this name to a file of its record."""
    return name in _RECORD_NAMES or bool(_PART_LEDGER.fullmatch(name)) or is_partial(name)


def is_table_name(name: str) -> bool:
    """Whether a run gives this name to a file or folder beside its tables."""
    known = {*(path.rpartition("/")[2] for path in OBJECT_TABLES), *_ZARR_NAMES}
    return name in known or name.endswith(".partial")


def is_zarr_name(name: str) -> bool:
    """Whether this is the name of a file of metadata of zarr."""
    return name in _ZARR_NAMES


def is_output_name(name: str) -> bool:
    """Whether a run gives this name to a file or folder of its output."""
    return name in _OUTPUT_NAMES or name.isdigit() or is_partial(name)
