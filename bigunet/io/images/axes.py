"""Names of axes: their synonyms, and the axes of an array without names."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

from bigunet.errors import ImageError, OptionError
from bigunet.io.images.multiscale import Axis, AxisType

LETTERS = "tczyx"

_TYPES: dict[str, AxisType] = {
    "t": "time",
    "c": "channel",
    "z": "space",
    "y": "space",
    "x": "space",
}
_SYNONYMS = {
    "t": "time times timepoint timepoints frame frames",
    "c": "ch channel channels band bands rgb rgba color colors colour colours sample samples",
    "z": "depth plane planes slice slices section sections",
    "y": "height h row rows lat latitude",
    "x": "width w col cols column columns lon longitude",
}
_LETTER_OF = {name: letter for letter, names in _SYNONYMS.items() for name in names.split()}
_BARE = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}
_MAX_COLOURS = 4
"""An axis without a name may hold colours, or stains, if it has no more voxels than this."""


def axis_letter(name: str) -> str | None:
    """The letter of an axis from its name: the letter itself or a synonym, in upper or lower case.

    None for another name.

    >>> axis_letter("Height"), axis_letter("T"), axis_letter("dim_0")
    ('y', 't', None)
    """
    plain = name.strip().lower()
    return plain if plain in _TYPES else _LETTER_OF.get(plain)


def axis_named(name: str, unit: str | None = None) -> Axis | None:
    """The axis of this name, or of this synonym of a name; None if it is unknown."""
    letter = axis_letter(name)
    return None if letter is None else Axis(letter, _TYPES[letter], unit)


def axes_of(letters: str) -> tuple[Axis, ...]:
    """The axes of these letters, in this order."""
    return tuple(Axis(letter, _TYPES[letter]) for letter in letters)


def checked_letters(stated: str) -> str:
    """Check axes that a user states; return them in lower case. An empty text states none.

    Raises
    ------
    OptionError
        If they are not y and x, and any of t, c, z, each once.
    """
    letters = stated.strip().lower()
    if letters and not (
        len(set(letters)) == len(letters) and {"y", "x"} <= set(letters) <= set(LETTERS)
    ):
        raise OptionError(
            f"axes {reprlib.repr(stated)}: give y and x with any of t, c, z, each once and in the "
            "order of storage, such as yxc"
        )
    return letters


def named_letters(names: Sequence[object], stated: str, where: str) -> str:
    """Letters of the axes of an array, from the names that are stored with it.

    Parameters
    ----------
    names : sequence
        One per axis; None or an empty text where an axis has no name.
    stated : str
        The letters that the user states, or an empty text. Where the names cannot be read as
        axes, the user's letters are taken.
    where : str
        The name of the array in an error.

    Returns
    -------
    str
        Empty where no axis has a name.

    Raises
    ------
    ImageError
        If a name is unknown, comes twice, or is missing, or contradicts the user's letters.
    """
    if all(_is_missing(name) for name in names):
        return ""
    letters = [axis_letter(name) if isinstance(name, str) else None for name in names]
    if stated:
        _check_agreement(names, letters, stated, where)
        return stated
    listed = ", ".join("no name" if _is_missing(name) else reprlib.repr(name) for name in names)
    remedy = "correct the names, or state the axes with --axes, such as --axes zyx"
    if None in letters:
        first = names[letters.index(None)]
        what = "an axis has no name" if _is_missing(first) else f"{reprlib.repr(first)} is unknown"
        raise ImageError(f"{where}: its axes are named {listed}: {what}; {remedy}")
    known = "".join(letter for letter in letters if letter)
    if len(set(known)) < len(known) or not {"y", "x"} <= set(known):
        raise ImageError(
            f"{where}: its axes are named {listed}, which is {', '.join(known)}: not y and x with "
            f"any of t, c, z, each once; {remedy}"
        )
    return known


def _is_missing(name: object) -> bool:
    return name is None or (isinstance(name, str) and not name.strip())


def _check_agreement(
    names: Sequence[object], letters: Sequence[str | None], stated: str, where: str
) -> None:
    """Raise ImageError where a name that is clear is another axis than the user states."""
    for name, letter, user_letter in zip(names, letters, stated):
        if letter is not None and letters.count(letter) == 1 and letter != user_letter:
            listed = ", ".join(map(reprlib.repr, names))
            raise ImageError(
                f"{where}: its axes are named {listed}, but --axes {stated} takes {name!r} for "
                f"{user_letter}; leave out --axes, or correct the names"
            )


def unnamed_letters(shape: Sequence[int], where: str, *, ask: bool = True) -> str:
    """Letters of the axes of an array without names: yx, zyx, czyx or tczyx.

    Where x or z would be very short, the axis may hold colours instead. If ``ask`` is true, this
    is an error that asks the user for the axes.

    Raises
    ------
    ImageError
        If the array does not have 2 to 5 axes, or one of them may hold colours.
    """
    usual = _BARE.get(len(shape))
    if usual is None:
        raise ImageError(f"{where}: an array of shape {tuple(shape)} has not 2 to 5 dimensions")
    if not ask:
        return usual
    if len(shape) > 2 and shape[-1] <= _MAX_COLOURS:
        colours = {3: "yxc", 4: "zyxc", 5: "tzyxc"}[len(shape)]
        raise ImageError(
            f"{where} has shape {tuple(shape)} and no names of axes: say what the last one is, "
            f"with --axes {colours} if it is colours, with --axes {usual} if it is x"
        )
    planes = _ambiguous_planes(shape)
    if planes is not None:
        colours = {3: "cyx", 4: "tcyx"}[len(shape)]
        raise ImageError(
            f"{where} has shape {tuple(shape)} and no names of axes: say what its {planes} are, "
            f"with --axes {colours} if channels, with --axes {usual} if planes of a stack"
        )
    return usual


def _ambiguous_planes(shape: Sequence[int]) -> int | None:
    """Number of planes, where they may be channels instead; None where they cannot be."""
    *before, planes, _, _ = (1, *shape)
    may_be_channels = len(shape) in (3, 4) and 1 < planes <= _MAX_COLOURS
    return planes if may_be_channels and set(before) <= {1} else None
