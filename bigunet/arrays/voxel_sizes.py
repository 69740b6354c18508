"""The size of a voxel that a caller states, for each axis of space of an array."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

from bigunet.errors import OptionError

VoxelSize: TypeAlias = float | Sequence[float] | Mapping[str, float]

_CLOSE = 1e-3
"""Sizes that differ by less than this share are the same."""


def checked_sizes(
    stated: VoxelSize | None, letters: str, known: Mapping[str, float]
) -> dict[str, float]:
    """Micrometres per voxel by axis of space; empty if nobody states them.

    Parameters
    ----------
    stated : float, sequence of float, or mapping of str to float, optional
        One size for all axes of space, or one for each: along z, y, x or by letter.
    letters : str
        Axes of the array.
    known : mapping of str to float
        What the array says itself.

    Raises
    ------
    OptionError
        If they are no sizes, do not fit the axes, or contradict the array.
    """
    if stated is None:
        return dict(known)
    sizes = _by_axis(stated, [letter for letter in letters if letter in "zyx"])
    for axis, size in sizes.items():
        if axis in known and not math.isclose(size, known[axis], rel_tol=_CLOSE):
            raise OptionError(
                f"voxel_size_um is {size:g} along {axis}, but the coordinates of the array have "
                f"steps of {known[axis]:g} µm; leave it out, or correct the coordinates"
            )
    return {**known, **sizes}


def _by_axis(stated: Any, axes: list[str]) -> dict[str, float]:
    sizes: dict[str, Any]
    if isinstance(stated, Mapping):
        sizes = dict(stated)
        if set(sizes) != set(axes):
            raise _refused(stated, axes)
    elif isinstance(stated, Real):
        sizes = dict.fromkeys(axes, stated)
    else:
        values = [] if isinstance(stated, str) else list(stated)
        # In another order it is not clear which size belongs to which axis.
        if len(values) != len(axes) or axes != sorted(axes, key="zyx".index):
            raise _refused(stated, axes)
        sizes = dict(zip(axes, values))
    for size in sizes.values():
        if isinstance(size, bool) or not isinstance(size, Real) or not 0 < float(size) < math.inf:
            raise _refused(stated, axes)
    return {axis: float(size) for axis, size in sizes.items()}


def _refused(stated: object, axes: list[str]) -> OptionError:
    example = ", ".join(f'"{axis}": 0.5' for axis in axes)
    shown = " ".join(f"{stated!r:.60}".split())
    return OptionError(f"voxel_size_um is {shown}; give micrometres for each axis: {{{example}}}")
