"""What the ledger of an output says, read without a lock while a run may still write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from bigunet.engine.ledger import Ledger
from bigunet.engine.ledger_lines import is_count
from bigunet.errors import BigUNetError
from bigunet.options.choices import PrecisionChoice
from bigunet.options.convolution_kind import is_convolution
from bigunet.segmentation.report_file import is_record_file, read_report
from bigunet.segmentation.run.record_files import ledger_path, part_ledgers

CONVERSION = "convert"
"""The verb that a ledger names which is no segmentation's."""


def read_progress(target: Path) -> dict[str, Any]:
    """Fingerprint, finished blocks of each stage, and report of a run; empty without a ledger.

    Raises
    ------
    OutputError, ResumeError
        If the ledger or the report cannot be read, or is damaged.
    """
    path = ledger_path(target)
    if not is_record_file(path):
        return {}
    fingerprint, done = Ledger.peek(path, part_ledgers(target))
    return {"fingerprint": fingerprint, "blocks_done": done, "report": read_report(target)}


SEGMENTATION = "segment"


def verb_of(target: Path) -> str:
    """The verb of the run that began ``target``; empty if none did, or its ledger is damaged."""
    path = ledger_path(target)
    try:
        begun = Ledger.run_of(path) if is_record_file(path) else {}
    except BigUNetError:
        # Whoever opens the ledger reports the damage.
        return ""
    return str(begun.get("verb", SEGMENTATION)) if begun else ""


def is_conversion(target: Path) -> bool:
    """Whether ``target`` is an image that was converted, or is being converted."""
    return verb_of(target) == CONVERSION


def has_begun(target: Path) -> bool:
    """Whether a run that writes ``target`` has begun; it may be finished."""
    path = ledger_path(target)
    return is_record_file(path) and bool(Ledger.run_of(path))


def earlier_choices(target: Path) -> dict[str, Any]:
    """Block shape, tile shape, slab, precision and convolution that the run chose which began it.

    A resumed run needs the same ones, and another machine, or less memory, would choose others.
    """
    path = ledger_path(target)
    if not is_record_file(path):
        return {}
    fingerprint = Ledger.run_of(path)
    is_valid: dict[str, Callable[[Any], bool]] = {
        "block_shape": _is_shape,
        "tile_shape": _is_shape,
        "slab": is_count,
        "precision": lambda value: value in get_args(PrecisionChoice),
        "convolution": is_convolution,
    }
    # An invalid value comes from another version. It is left out here, and the comparison of the
    # fingerprints refuses that run.
    return {
        name: fingerprint[f"option {name}"]
        for name, valid in is_valid.items()
        if valid(fingerprint.get(f"option {name}"))
    }


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(is_count(n) and n > 0 for n in value)
