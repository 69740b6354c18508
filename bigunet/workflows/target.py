"""The folder that a run writes: whether it may, its ledger, and its report."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from bigunet.engine.ledger import Ledger
from bigunet.errors import OptionError, OutputError
from bigunet.io.output import withdraw_label
from bigunet.workflows.normalisation import FixedNormalisation
from bigunet.workflows.place import RUN_FOLDER, Place
from bigunet.workflows.plan import SegmentPlan

Existing = Literal["refuse", "resume", "overwrite"]
_LEDGER = "ledger.jsonl"
_REPORT = "report.json"


def open_ledger(
    place: Place,
    plan: SegmentPlan,
    normalisation: FixedNormalisation,
    *,
    existing: Existing,
) -> Ledger:
    """Begin the output at a place, or continue it; the ledger is locked until it is closed.

    Raises
    ------
    OutputError
        If something is there that may not be touched.
    ResumeError
        If the run to be continued was another one.
    OptionError
        If the output is the input.
    """
    target = place.folder
    if "://" in place.store:
        raise OptionError(
            f"output {place.store}: give a local path; object stores can only be read"
        )
    if _same_place(plan.image.url, target):
        raise OptionError(f"output {target} is the input; give another path")
    path = target / RUN_FOLDER / _LEDGER
    _check_existing(target, existing)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror}; choose a path that can be written"
        ) from error
    ledger = Ledger(path)
    try:
        fingerprint = _fingerprint(plan, normalisation)
        if existing == "overwrite":
            ledger.empty()
        if ledger.is_empty:
            # In this order: an overwriting that is cut off has no finished blocks, only leftovers.
            if place.inside_image:
                withdraw_label(place.store, place.group, place.version)
            _clear(target, keep=path)
            ledger.begin(fingerprint)
        else:
            ledger.check(fingerprint)
    except BaseException:
        ledger.close()
        raise
    return ledger


def write_report(target: Path, report: dict[str, Any]) -> None:
    """Keep the run's report beside its ledger."""
    path = target / RUN_FOLDER / _REPORT
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=2) + "\n")
    partial.replace(path)


def read_report(target: Path) -> dict[str, Any]:
    """The report of the run that made ``target``; empty if there is none."""
    path = target / RUN_FOLDER / _REPORT
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def _fingerprint(plan: SegmentPlan, normalisation: FixedNormalisation) -> dict[str, Any]:
    """All that decides about the bytes that are written."""
    level = plan.image.level(plan.options.level)
    return {
        "image": plan.image.url,
        "image_shape": level.shape,
        "image_dtype": level.dtype,
        "model": f"{plan.model.description.name} {plan.model.digest[:16]}",
        "normalisation": normalisation.to_dict(),
        **{f"option {name}": value for name, value in plan.options.to_dict().items()},
        "channels": plan.channels,
        "block_shape": plan.layout.block_shape(0),
        "tile_shape": plan.tiling.tile_shape,
        "halo": plan.tiling.field.halo,
    }


def _occupied(target: Path) -> bool:
    if target.is_dir():
        return any(target.iterdir())
    return target.exists()


def _check_existing(target: Path, existing: Existing) -> None:
    """Raise OutputError if something is at ``target`` that may not be touched."""
    if not _occupied(target):
        return
    if existing == "refuse":
        raise OutputError(
            f"{target} exists: give --resume to continue it, --overwrite to begin anew, or "
            "another path"
        )
    if not (target / RUN_FOLDER).is_dir():
        raise OutputError(
            f"{target} exists and is not an output of bigunet: it will not be touched; remove it "
            "yourself or give another path"
        )


def _clear(target: Path, *, keep: Path) -> None:
    """Remove all that an earlier run wrote but ``keep``; what makes it look whole goes first."""
    entries = [*target.iterdir(), *keep.parent.iterdir()]
    try:
        for entry in sorted(entries, key=lambda path: path.is_dir()):
            if entry in (keep, keep.parent):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError as error:
        raise OutputError(f"cannot remove {error.filename}: {error.strerror}") from error


def _same_place(url: str, target: Path) -> bool:
    return os.path.realpath(url) == os.path.realpath(target)


def read_progress(target: Path) -> dict[str, Any]:
    """What the ledger of an output tells: the run's fingerprint, and blocks done of each stage."""
    path = target / RUN_FOLDER / _LEDGER
    if not path.is_file():
        return {}
    fingerprint, done = Ledger.peek(path)
    return {"fingerprint": fingerprint, "blocks_done": done, "report": read_report(target)}
