"""The folder that a run writes: whether it may, its ledger, and its report."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from bigunet.choices import Existing, PrecisionChoice
from bigunet.engine.ledger import Ledger
from bigunet.engine.ledger_lines import is_count
from bigunet.errors import OptionError, OutputError, ResumeError
from bigunet.io.images.identity import Content
from bigunet.io.output.publish import withdraw_label
from bigunet.io.output.writing import writing
from bigunet.machine.locks import shared_lock
from bigunet.model.inference.openvino_module import has_openvino
from bigunet.segmentation.place import RUN_FOLDER, Place
from bigunet.segmentation.plan.content import CONTENT, as_json, check_contents, contents_of
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.plan import SegmentPlan
from bigunet.segmentation.report_file import REPORT, is_record_file, read_report
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.record_checks import judge_of
from bigunet.urls import shown_url

_LEDGER = "ledger.jsonl"
# Changed between two parts of a run, these change no byte that is written.
_FREE_OPTIONS = {"memory_limit", "tune"}
_ZARR_NAMES = {"zarr.json", ".zarray", ".zattrs", ".zgroup"}
_RECORD_NAMES = {_LEDGER, REPORT, "report.partial", *_ZARR_NAMES}
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
    ledger = Ledger(
        path,
        anew=existing == "overwrite",
        beside=lambda: _part_ledgers(target),
        judge=judge_of(plan),
    )
    try:
        contents = contents_of(plan)
        if ledger.is_empty:
            # In this order: an overwriting that is cut off has no finished blocks, only leftovers.
            if place.inside_image:
                withdraw_label(place.store, place.group, place.version)
            _clear(target, keep=path)
            ledger.begin(_fingerprint(plan, normalisation, as_json(contents)))
        else:
            _check_run(ledger, place, plan, normalisation, contents)
    except BaseException:
        ledger.close()
        raise
    return ledger


def begin_anew(place: Place, image: str, *, read: Sequence[str] = ()) -> None:
    """Remove all that an earlier run wrote to a place; nothing where nothing is.

    A run that continues it later begins with its first block.

    Raises
    ------
    OutputError, OptionError
        As `check_target`; BusyError if another process writes the output.
    """
    check_target(place, image, existing="overwrite", read=read)
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
    if not path.exists():
        if place.inside_image:
            withdraw_label(place.store, place.group, place.version)
        contents = as_json(contents_of(plan))
        if Ledger.begin_once(path, _fingerprint(plan, normalisation, contents)):
            return True
    # That the content is the same is seen when the part's own ledger is opened.
    known = Ledger.run_of(path).get(CONTENT)
    return Ledger.is_of(path, _fingerprint(plan, normalisation, known))


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
        run = Ledger.run_of(path)
        if not run:
            raise ResumeError(
                f"{target} was to be begun anew, which was cut off: finish that with --resume and "
                "no --part, or remove it"
            )

        def others() -> list[Path]:
            return [other for other in (path, *_part_ledgers(target)) if other != own]

        with Ledger(own, beside=others, judge=judge_of(plan)) as ledger:
            if ledger.is_empty:
                ledger.begin(_fingerprint(plan, normalisation, run.get(CONTENT)))
            _check_run(ledger, place, plan, normalisation, contents_of(plan))
            yield ledger


def has_begun(place: Place) -> bool:
    """Whether a run has begun at a place, which may be finished."""
    path = place.folder / RUN_FOLDER / _LEDGER
    return is_record_file(path) and bool(Ledger.run_of(path))


def _check_run(
    ledger: Ledger,
    place: Place,
    plan: SegmentPlan,
    normalisation: FixedNormalisation,
    contents: Mapping[str, Content],
) -> None:
    """Raise ResumeError if the ledger is that of another run, or its records cannot be so."""
    begun = ledger.fingerprint
    now = _fingerprint(plan, normalisation, begun.get(CONTENT))
    # An image that changed has another grey range, which says less than the file that changed.
    ledger.check({**now, "normalisation": begun.get("normalisation")})
    check_contents(place.folder, begun.get(CONTENT), contents)
    ledger.check(now)
    ledger.check_records()


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


def chosen_before(target: Path) -> dict[str, Any]:
    """Options that the run which began ``target`` chose, and that go on with it.

    Another machine, or less memory, would choose others.
    """
    path = target / RUN_FOLDER / _LEDGER
    if not is_record_file(path):
        return {}
    fingerprint = Ledger.run_of(path)
    fitting: dict[str, Callable[[Any], bool]] = {
        "block_shape": _is_shape,
        "tile_shape": _is_shape,
        "precision": lambda value: value in get_args(PrecisionChoice),
    }
    # What does not fit is of no run of this version, and refused as such when all is compared.
    return {
        name: fingerprint[f"option {name}"]
        for name, fits in fitting.items()
        if fits(fingerprint.get(f"option {name}"))
    }


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(is_count(n) and n > 0 for n in value)


def _fingerprint(
    plan: SegmentPlan, normalisation: FixedNormalisation, contents: object
) -> dict[str, Any]:
    """All that decides about the bytes that are written; ``contents`` of what is read."""
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
        CONTENT: contents,
    }


def check_target(place: Place, image: str, *, existing: Existing, read: Sequence[str] = ()) -> None:
    """See that a run may write to a place; changes nothing.

    Parameters
    ----------
    place : Place
    image : str
        Address of the image that is segmented.
    existing : {"refuse", "resume", "overwrite"}
    read : sequence of str
        Addresses of what else the run reads: a mask, an image that shares its grey range.

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
    for other in read:
        if _lies_in(other, target):
            raise OptionError(
                f"the run would read {other} and write over it: give another OUT, or a copy of it"
            )
    with writing(str(target)):
        _check_way(target)
        occupied = _occupied(target)
        ours = occupied and _is_ours(target)
    if not occupied:
        return
    if existing == "refuse":
        raise OutputError(
            f"{target} exists: give --resume to continue it, --overwrite to begin anew, or "
            "another path"
        )
    if not ours:
        raise OutputError(
            f"{target} exists and is not an output of bigunet: it will not be touched; remove it "
            "yourself or give another path"
        )


def _check_way(target: Path) -> None:
    """Raise OutputError if a folder cannot be made there, because something is in the way."""
    for path in (target, *target.parents):
        if not os.path.lexists(path):
            continue
        if not path.exists():
            raise OutputError(
                f"{path} is a link that leads nowhere; remove it, or give another OUT"
            )
        if path != target and not path.is_dir():
            raise OutputError(f"{path} is a file, so {target} cannot be made; give another OUT")
        return


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


def _lies_in(other: str, target: Path) -> bool:
    """Whether an address is the output, or a part of it."""
    first = Path(os.path.realpath(other.removeprefix("file://")))
    second = Path(os.path.realpath(target))
    return first == second or second in first.parents


def _overlap(image: str, target: Path) -> bool:
    """Whether one is, or lies in, the other."""
    first = Path(os.path.realpath(image.removeprefix("file://")))
    second = Path(os.path.realpath(target))
    return first == second or first in second.parents or second in first.parents


def read_progress(target: Path) -> dict[str, Any]:
    """What the ledger of an output tells: the run's fingerprint, and blocks done of each stage."""
    path = target / RUN_FOLDER / _LEDGER
    if not is_record_file(path):
        return {}
    fingerprint, done = Ledger.peek(path, _part_ledgers(target))
    return {"fingerprint": fingerprint, "blocks_done": done, "report": read_report(target)}
