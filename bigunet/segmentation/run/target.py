"""Whether a run may write to a place. It only looks, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bigunet.errors import OptionError, OutputError
from bigunet.io.output.writing import writing
from bigunet.options.choices import Existing
from bigunet.segmentation.output_kinds import TABLES_FOLDER
from bigunet.segmentation.place import RUN_FOLDER, Place
from bigunet.segmentation.run.record_files import (
    is_output_name,
    is_partial,
    is_record_name,
    is_table_name,
    ledger_path,
)


def check_target(place: Place, image: str, *, existing: Existing, read: Sequence[str] = ()) -> None:
    """Raise an error if a run may not write to a place.

    Parameters
    ----------
    place : Place
    image : str
        Address of the image that is segmented.
    existing : {"refuse", "resume", "overwrite"}
        What to do with an output that is there.
    read : sequence of str
        Addresses of the other images that the run reads: a mask, an image with the grey range.

    Raises
    ------
    OutputError
        If the place holds something that must stay.
    OptionError
        If the output is no local path, or if the image and the output overlap.
    """
    _check_apart(place, image, read)
    target = place.folder
    with writing(str(target)):
        _check_parents(target)
        occupied = is_occupied(target)
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


def is_occupied(target: Path) -> bool:
    """Whether there is a file, or a folder that is not empty."""
    if target.is_dir():
        return any(target.iterdir())
    return target.exists()


def _check_apart(place: Place, image: str, read: Sequence[str]) -> None:
    """Raise OptionError if the run would write over an image that it reads."""
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


def _check_parents(target: Path) -> None:
    """Raise OutputError if a file or a broken link stands where a folder must be made."""
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


def _is_ours(target: Path) -> bool:
    """Whether a run of bigunet wrote all that the folder holds."""
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


def _lies_in(other: str, target: Path) -> bool:
    """Whether an address is the output, or lies in it."""
    first, second = _real(other), Path(os.path.realpath(target))
    return first == second or second in first.parents


def _overlap(image: str, target: Path) -> bool:
    """Whether the image and the output are the same folder, or one lies in the other."""
    return _lies_in(image, target) or _real(image) in Path(os.path.realpath(target)).parents


def _real(address: str) -> Path:
    return Path(os.path.realpath(address.removeprefix("file://")))
