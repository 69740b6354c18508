"""The folder that a run writes: whether it may, its ledger, and its report."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from bigunet.engine.ledger import Ledger
from bigunet.engine.lock import shared_lock
from bigunet.errors import OptionError, OutputError, ResumeError
from bigunet.io.output import withdraw_label
from bigunet.model.openvino_module import has_openvino
from bigunet.urls import shown_url
from bigunet.workflows.normalisation import FixedNormalisation
from bigunet.workflows.part import Part
from bigunet.workflows.place import RUN_FOLDER, Place
from bigunet.workflows.plan import SegmentPlan

Existing = Literal["refuse", "resume", "overwrite"]
_LEDGER = "ledger.jsonl"
_REPORT = "report.json"
# Changed between two parts of a run, these change no byte that is written.
_FREE_OPTIONS = {"memory_limit", "tune"}
_ZARR_NAMES = {"zarr.json", ".zarray", ".zattrs", ".zgroup"}
_RECORD_NAMES = {_LEDGER, _REPORT, "report.partial", *_ZARR_NAMES}
_PART_LEDGER = re.compile(r"part-\d+-of-\d+\.jsonl")
# What a writer that was killed leaves, or another part is just writing.
_PARTIAL = re.compile(r".*\.[0-9a-f]{32}\.partial")
# What a run makes, but for the levels of a label, which are numbers.
_OUTPUT_NAMES = {RUN_FOLDER, "labels", "probabilities", *_ZARR_NAMES}


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
    OutputError, OptionError
        As `check_target`; BusyError if another process writes the output.
    ResumeError
        If the run to be continued was another one.
    """
    target = place.folder
    check_target(place, plan.image.url, existing=existing)
    path = _ledger_path(place)
    ledger = Ledger(path, anew=existing == "overwrite", beside=lambda: _part_ledgers(target))
    try:
        fingerprint = _fingerprint(plan, normalisation)
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


def begin_anew(place: Place, image: str) -> None:
    """Remove all that an earlier run wrote to a place; nothing where nothing is.

    A run that continues it later begins with its first block.

    Raises
    ------
    OutputError, OptionError
        As `check_target`; BusyError if another process writes the output.
    """
    check_target(place, image, existing="overwrite")
    if not _occupied(place.folder):
        return
    path = _ledger_path(place)
    with Ledger(path, anew=True):
        if place.inside_image:
            withdraw_label(place.store, place.group, place.version)
        _clear(place.folder, keep=path)


def found_run(place: Place, plan: SegmentPlan, normalisation: FixedNormalisation) -> bool:
    """Begin an output that parts share, unless one of them did; whether the plan is that one's.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = _ledger_path(place)
    fingerprint = _fingerprint(plan, normalisation)
    if not path.exists():
        if place.inside_image:
            withdraw_label(place.store, place.group, place.version)
        if Ledger.found(path, fingerprint):
            return True
    return Ledger.is_of(path, fingerprint)


@contextmanager
def open_part(
    place: Place, plan: SegmentPlan, normalisation: FixedNormalisation, part: Part
) -> Iterator[Ledger]:
    """The ledger of a part; while it is open, nobody begins the run anew or ends it.

    Raises
    ------
    BusyError
        If another process is at this part, or has the whole run.
    ResumeError
        If the run was begun differently.
    """
    target, path = place.folder, _ledger_path(place)
    own = path.with_name(part.ledger_name)
    with shared_lock(path, target):
        if not Ledger.peek(path)[0]:
            raise ResumeError(
                f"{target} was to be begun anew, which was cut off: finish that with --resume and "
                "no --part, or remove it"
            )

        def others() -> list[Path]:
            return [other for other in (path, *_part_ledgers(target)) if other != own]

        with Ledger(own, beside=others) as ledger:
            fingerprint = _fingerprint(plan, normalisation)
            if ledger.is_empty:
                ledger.begin(fingerprint)
            ledger.check(fingerprint)
            yield ledger


def _ledger_path(place: Place) -> Path:
    """Where the ledger of the run is, in a folder that is made if it is not there."""
    path = place.folder / RUN_FOLDER / _LEDGER
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {place.folder}: {error.strerror}; choose a path that can be written"
        ) from error
    return path


def _part_ledgers(target: Path) -> list[Path]:
    return sorted((target / RUN_FOLDER).glob("part-*-of-*.jsonl"))


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


def chosen_before(target: Path) -> dict[str, Any]:
    """Options that the run which began ``target`` chose, and that go on with it.

    Another machine, or less memory, would choose others.
    """
    path = target / RUN_FOLDER / _LEDGER
    if not path.is_file():
        return {}
    fingerprint, _ = Ledger.peek(path)
    names = ("block_shape", "tile_shape", "precision")
    return {n: fingerprint[f"option {n}"] for n in names if f"option {n}" in fingerprint}


def _fingerprint(plan: SegmentPlan, normalisation: FixedNormalisation) -> dict[str, Any]:
    """All that decides about the bytes that are written."""
    level = plan.image.level(plan.level)
    return {
        "image": shown_url(plan.image.url),
        "image_shape": level.shape,
        "image_dtype": level.dtype,
        "axes": [axis.name for axis in plan.image.axes],
        "model": f"{plan.model.description.name} {plan.model.digest[:16]}",
        "normalisation": normalisation.to_dict(),
        **{
            f"option {name}": value
            for name, value in plan.options.to_dict().items()
            if name not in _FREE_OPTIONS
        },
        "turns": plan.turns,
        "channels": plan.channels,
        "block_shape": plan.layout.block_shape(0),
        "tile_shape": plan.tiling.tile_shape,
        "receptive_field": asdict(plan.model.receptive_field),
        "bigunet": version("bigunet"),
        "torch": version("torch"),
        "openvino": version("openvino") if has_openvino() else None,
    }


def check_target(place: Place, image: str, *, existing: Existing) -> None:
    """See that a run may write to a place; changes nothing.

    Raises
    ------
    OutputError
        If something is there that may not be touched.
    OptionError
        If the output is no local path, or it and the image lie in one another.
    """
    target = place.folder
    if "://" in place.store:
        raise OptionError(
            f"output {place.store}: give a local path; object stores can only be read"
        )
    if not place.inside_image and _overlap(image, target):
        raise OptionError(f"output {target} and the image {image} overlap; give another path")
    if not _occupied(target):
        return
    if existing == "refuse":
        raise OutputError(
            f"{target} exists: give --resume to continue it, --overwrite to begin anew, or "
            "another path"
        )
    if not _is_ours(target):
        raise OutputError(
            f"{target} exists and is not an output of bigunet: it will not be touched; remove it "
            "yourself or give another path"
        )


def _occupied(target: Path) -> bool:
    if target.is_dir():
        return any(target.iterdir())
    return target.exists()


def _is_ours(target: Path) -> bool:
    """Whether a bigunet run began what is here, and nothing of anybody else's lies beside it."""
    record = target / RUN_FOLDER
    if not record.is_dir() or not all(map(_is_record, record.iterdir())):
        return False
    if not all(_is_output(entry.name) for entry in target.iterdir()):
        return False
    # Without its ledger a folder may be anything; one killed at its very first step is empty.
    left = (entry for entry in record.iterdir() if not _PARTIAL.fullmatch(entry.name))
    return (record / _LEDGER).is_file() or not any(left)


def _is_record(path: Path) -> bool:
    known = path.name in _RECORD_NAMES or _PART_LEDGER.fullmatch(path.name)
    return bool(known or _PARTIAL.fullmatch(path.name))


def _is_output(name: str) -> bool:
    return name in _OUTPUT_NAMES or name.isdigit() or bool(_PARTIAL.fullmatch(name))


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


def _overlap(image: str, target: Path) -> bool:
    """Whether one is, or lies in, the other."""
    first = Path(os.path.realpath(image.removeprefix("file://")))
    second = Path(os.path.realpath(target))
    return first == second or first in second.parents or second in first.parents


def read_progress(target: Path) -> dict[str, Any]:
    """What the ledger of an output tells: the run's fingerprint, and blocks done of each stage."""
    path = target / RUN_FOLDER / _LEDGER
    if not path.is_file():
        return {}
    fingerprint, done = Ledger.peek(path, _part_ledgers(target))
    return {"fingerprint": fingerprint, "blocks_done": done, "report": read_report(target)}
