"""Lone values: label values far above all others. Most of them mean "not annotated"."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from bigunet.errors import TrainingError

_TIMES = 8
"""The gap below a lone value is more than this many times larger than each other gap."""
_LEAST_GAP = 32
_HIGHEST_OF_A_TYPE = frozenset(2**bits - 1 for bits in (7, 8, 15, 16, 31, 32, 63, 64))


def lone_value(values: Collection[int]) -> int | None:
    """The highest of at least three values, if it is far above the others; else None.

    Two values are never lone, because they are a mask.

    >>> lone_value([0, 1, 255]), lone_value([0, 255]), lone_value([0, 128, 255])
    (255, None, None)
    """
    ordered = sorted(set(values))
    if len(ordered) < 3:
        return None
    *others, gap = (b - a for a, b in itertools.pairwise(ordered))
    return ordered[-1] if gap >= _LEAST_GAP and gap > _TIMES * max(others) else None


def refuse_lone_class(values: Collection[int], *, share: float) -> None:
    """Refuse to learn a lone value as a class if the user has not listed the classes.

    Parameters
    ----------
    values : collection of int
        The values of all labels.
    share : float
        Share of the voxels that have the highest value.

    Raises
    ------
    TrainingError
        If there is a lone value.
    """
    lone = lone_value(values)
    if lone is None:
        return
    listed = ",".join(map(str, sorted(values)))
    raise TrainingError(
        f"the label {lone} ({100 * share:.1f} % of voxels) is far above all others: give --ignore "
        f"{lone} if it means not annotated, or --label-values {listed} if it is a class"
    )


def refuse_lone_object(numbers: Collection[int]) -> None:
    """Refuse to learn an object with a lone number that is the highest of an integer type.

    Parameters
    ----------
    numbers : collection of int
        The numbers of all objects.

    Raises
    ------
    TrainingError
        If there is such a number.
    """
    lone = lone_value({0, *numbers})
    if lone is None or lone not in _HIGHEST_OF_A_TYPE:
        return
    raise TrainingError(
        f"the label {lone} is far above the numbers of all other objects: give --ignore {lone} if "
        "it means not annotated, or renumber it if it is an object"
    )
