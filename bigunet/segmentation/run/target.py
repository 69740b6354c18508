"""Whether a run may write to a place. It only looks, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bigunet.errors import OptionError, OutputError
from bigunet.io.output.table_group import tables_of
from bigunet.io.output.writing import writing
from bigunet.options.choices import Existing
from bigunet.segmentation.output_kinds import OBJECT_LABELS
from bigunet.segmentation.place import Place
from bigunet.segmentation.run.ownership import (
    foreign_others,
    is_occupied,
    is_output,
    owned_others,
)
from bigunet.segmentation.run.progress import CONVERSION, verb_of


def check_target(
    place: Place,
    image: str,
    *,
    existing: Existing,
    read: Sequence[str] = (),
    converts: bool = False,
) -> None:
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
    converts : bool
        Whether the run converts an image; else it segments one.

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
        ours = occupied and is_output(target)
        owned = [Path(place.store, group) for group in owned_others(place)]
    _check_others(place)
    if existing == "refuse" and (occupied or owned):
        raise OutputError(
            f"{target if occupied else owned[0]} exists: give --resume to continue it, "
            "--overwrite to begin anew, or another path"
        )
    if occupied and not ours:
        raise OutputError(
            f"{target} exists and is not an output of bigunet: it will not be touched; remove it "
            "yourself or give another path"
        )
    verb = verb_of(target) if ours else ""
    if verb and (verb == CONVERSION) != converts:
        what = "a segmentation" if converts else "an image that convert wrote"
        raise OutputError(
            f"{target} is {what}: it will not be touched; remove it yourself or give another path"
        )


def _check_others(place: Place) -> None:
    """Raise OutputError if labels or tables of others stand where the run would write its own."""
    for group in foreign_others(place):
        flag = "--output classes" if group == OBJECT_LABELS else "--no-table"
        raise OutputError(
            f"{Path(place.store, group)} was not made by bigunet, and will not be touched: rename "
            f"it, or give {flag} or an OUT"
        )
    if place.others:
        # A list of tables that cannot be read would end the run when all else is done.
        tables_of(place.store)


def _check_apart(place: Place, image: str, read: Sequence[str]) -> None:
    """Raise OptionError if the run would write over an image that it reads."""
    target = place.folder
    if "://" in place.store:
        raise OptionError(
            f"output {place.store}: give a local path; object stores can only be read"
        )
    if not place.inside_image and _overlap(image, target):
        raise OptionError(f"output {target} and the image {image} overlap; give another path")
    written = (place.group, *place.others)
    for other in read:
        if any(_lies_in(other, Path(place.store, group)) for group in written):
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


def _lies_in(other: str, target: Path) -> bool:
    """Whether an address is the output, or lies in it."""
    first, second = _real(other), Path(os.path.realpath(target))
    return first == second or second in first.parents


def _overlap(image: str, target: Path) -> bool:
    """Whether the image and the output are the same folder, or one lies in the other."""
    return _lies_in(image, target) or _real(image) in Path(os.path.realpath(target)).parents


def _real(address: str) -> Path:
    return Path(os.path.realpath(address.removeprefix("file://")))
