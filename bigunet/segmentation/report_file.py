"""Writes the report of a run to a file next to its ledger, and reads it back."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from bigunet.errors import OutputError
from bigunet.io.output.writing import writing
from bigunet.machine.files import replacing
from bigunet.segmentation.place import RUN_FOLDER

REPORT, PAGE, RUN_FILE = "report.json", "report.html", "run.toml"


def page_path(target: Path) -> Path:
    """Path of the page that shows the report of a run."""
    return target / RUN_FOLDER / PAGE


def write_report(target: Path, report: dict[str, Any]) -> None:
    """Write the report of a run next to its ledger.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = target / RUN_FOLDER / REPORT
    with writing(str(path)), replacing(path) as partial:
        partial.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def keep_report(target: Path, report: dict[str, Any]) -> None:
    """Write a report unless a readable one exists: that of the run itself says more."""
    try:
        if read_report(target):
            return
    except OutputError:
        pass
    write_report(target, report)


def read_report(target: Path) -> dict[str, Any]:
    """Read the report of the run that made ``target``; empty if there is none.

    Raises
    ------
    OutputError
        If the report is damaged, or cannot be read.
    """
    path = target / RUN_FOLDER / REPORT
    if not is_record_file(path):
        return {}
    try:
        report = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict):
        raise OutputError(
            f"{path} is damaged: remove it, or write it anew with segment --resume and the same "
            "options"
        )
    return report


def is_record_file(path: Path) -> bool:
    """Whether a path is a file of the record of a run.

    Raises
    ------
    OutputError
        If it cannot be looked at.
    """
    try:
        return path.is_file()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise OutputError(f"cannot read {path.parent.parent}: {error.strerror}") from error
