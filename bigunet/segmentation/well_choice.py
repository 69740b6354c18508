"""Which wells and fields of a plate are meant: names such as ``A01``, patterns such as ``B*``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from bigunet.errors import OptionError
from bigunet.io.images.limits import some_of
from bigunet.io.images.plates import Plate
from bigunet.urls import shown_url

# A plate of 384 wells is longer than a screen.
_MOST_NAMES = 96


def chosen_fields(plate: Plate, wells: Sequence[str], fields: Sequence[str]) -> Plate:
    """The plate with those of its fields that are asked for, in its own order.

    Parameters
    ----------
    plate : Plate
    wells : sequence of str
        Names or patterns of wells; empty for all. ``A1``, ``A01`` and ``A/1`` are the same well.
    fields : sequence of str
        Names or patterns of the fields of a well; empty for all.

    Raises
    ------
    OptionError
        If one of the names or patterns matches nothing, or no well has such a field.
    """
    wells, fields = _listed(wells, "wells", "A01,B*"), _listed(fields, "fields", "0,3")
    if wells and all("/" not in field for field in (*plate.fields, *plate.missing)):
        raise OptionError(f"{shown_url(plate.url)} is one well, not a plate: give no wells")
    _check(wells, plate, "well", _well_of, _names_of_well)
    kept = _kept(plate, wells, ())
    _check(fields, kept, "field", _field_of, _names_of_field)
    return _kept(kept, (), fields)


def _listed(patterns: Sequence[str], what: str, example: str) -> tuple[str, ...]:
    """Names and patterns, from a sequence of them or from text with commas."""
    items = patterns.split(",") if isinstance(patterns, str) else patterns
    listed = tuple(item.strip() if isinstance(item, str) else str(item) for item in items)
    if patterns and not all(listed):
        raise OptionError(f"{what} {patterns!r}: give names or patterns, such as {example}")
    return listed


def _check(
    patterns: Sequence[str],
    plate: Plate,
    noun: str,
    part_of: Callable[[str], str],
    names_of: Callable[[str], set[str]],
) -> None:
    """Raise OptionError for the first pattern that matches nothing that is stored."""
    parts = list(dict.fromkeys(map(part_of, plate.fields)))
    names = [names_of(part) for part in parts]
    for pattern in patterns:
        if not any(_matches(pattern, one) for one in names):
            raise OptionError(
                f"{noun}s {pattern!r} matches no {noun} with a stored field in "
                f"{shown_url(plate.url)}; it has {some_of(parts, len(parts), most=_MOST_NAMES)}"
            )


def _kept(plate: Plate, wells: Sequence[str], fields: Sequence[str]) -> Plate:
    def has(well: str, field: str = "") -> bool:
        return _any(wells, _names_of_well(well)) and (
            not field or _any(fields, _names_of_field(field))
        )

    return replace(
        plate,
        fields=tuple(f for f in plate.fields if has(_well_of(f), _field_of(f))),
        missing_wells=tuple(w for w in plate.missing_wells if has(w)),
        missing_fields=tuple(f for f in plate.missing_fields if has(_well_of(f), _field_of(f))),
    )


def _any(patterns: Sequence[str], names: set[str]) -> bool:
    return not patterns or any(_matches(pattern, names) for pattern in patterns)


def _matches(pattern: str, names: set[str]) -> bool:
    return any(fnmatchcase(name.upper(), pattern.upper()) for name in names)


def _well_of(field: str) -> str:
    """Path of the well of a field, such as ``A/1`` of ``A/1/0``."""
    return field.rpartition("/")[0]


def _field_of(field: str) -> str:
    return field.rpartition("/")[2]


def _names_of_well(well: str) -> set[str]:
    """All names of a well: ``A/1`` is ``A1`` and ``A01``, too."""
    row, _, column = well.rpartition("/")
    names = {well, row + column}
    if column.isdecimal():
        names |= {row + str(int(column)), f"{row}{int(column):02d}"}
    return names


def _names_of_field(field: str) -> set[str]:
    return {field}
