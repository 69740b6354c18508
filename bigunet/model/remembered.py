"""Remembers what was measured of a network in a file, so that later commands need not measure it.

What is remembered counts only if it is of the same file, asked in the same way, by the same code.
Then the network's digest, which has the scores of fixed noise, must be the same, too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from bigunet.machine.user_cache import keep, recall
from bigunet.model.measured import Measured
from bigunet.receptive import ReceptiveField

_KIND = "measured"
# The code that measures: if it changes, all is measured again.
_CODE = ("model", "receptive.py", "geometry.py")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered of a file.

    Parameters
    ----------
    measured : Measured
    digest : str
        Digest of the model that was measured.
    """

    measured: Measured
    digest: str


def file_key(path: Path, **asked: Any) -> str:
    """A digest of a file's content, of what is asked of it, and of the code that measures.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    words = [content, json.dumps(asked, sort_keys=True), torch.__version__, _code_digest()]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def recall_measured(key: str) -> Remembered | None:
    """What was kept under a key; None if there is nothing, or nothing of sense."""
    text = recall(_KIND, key)
    if text is None:
        return None
    try:
        kept = json.loads(text)
        field = ReceptiveField(**{k: tuple(map(int, v)) for k, v in kept["field"].items()})
        measured = Measured(
            field,
            tuple(map(int, kept["shape"])),
            int(kept["num_scores"]),
            kept["scores"],
            exact=bool(kept["exact"]),
        )
        return Remembered(measured, str(kept["digest"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def keep_measured(key: str, remembered: Remembered) -> None:
    """Keep what was measured under a key."""
    keep(_KIND, key, json.dumps({**asdict(remembered.measured), "digest": remembered.digest}))


@cache
def _code_digest() -> str:
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in _CODE:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
