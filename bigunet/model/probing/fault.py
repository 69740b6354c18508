"""The call that makes a module unfit for tiles, for the messages of refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigunet.model.probing.calls import Call, record_calls
from bigunet.model.probing.casts import WideCasts
from bigunet.model.probing.trial import ROUNDING, TOLERANCE

# Each usual stride divides one of these shifts.
_SHIFTS = (64, 60, 56, 54, 44)
_RESHAPING = ("flatten", "reshape", "view", "unflatten", "permute", "transpose", "unfold", "fold")
# A result that is so many times smaller than the input is a statistic of the input.
_FEWER = 16
# A call is at fault if the run of agreeing voxels shrinks to less than this share in it.
_COLLAPSE = 0.25


def random_call(module: nn.Module, image: Tensor) -> str:
    """The first call that gives another result in a second pass over the same image."""
    first, second = _recorded(module, image), _recorded(module, image)
    for one, other in zip(first, second):
        if one.name != other.name or not same(one.output, other.output):
            return str(one)
    return type(module).__name__


def spreading_call(module: nn.Module, poisoned: Tensor) -> str | None:
    """The call that spreads a NaN everywhere; None if no recorded call does.

    If there are several, it is the call with the fewest NaNs in its input: deep convolutions also
    fill a small tile.
    """
    everywhere: list[tuple[float, int, Call]] = []
    far: list[tuple[float, int, Call]] = []
    for number, call in enumerate(_recorded(module, poisoned)):
        # Inputs without NaN, such as weights, are left out.
        shares = [share for given in call.inputs if (share := _nan_share(given))]
        if not shares or min(shares) == 1:
            continue
        share = _nan_share(call.output)
        if share == 1:
            everywhere.append((min(shares), number, call))
        elif _reaches_rim(call.output) and not any(map(_reaches_rim, call.inputs)):
            # The NaN spreads in one direction only, or along one axis.
            far.append((min(shares) / share, number, call))
    best = min(everywhere or far, default=None)
    return None if best is None else str(best[2])


def hiding_call(module: nn.Module, poisoned: Tensor) -> str | None:
    """The first call that reads a NaN and returns none."""
    for call in _recorded(module, poisoned):
        if any(_is_nan(given).any() for given in call.inputs) and not _is_nan(call.output).any():
            return str(call)
    return None


def uneven_call(
    module: nn.Module, tile_at: Callable[[int], Tensor], *, axis: int, ndim: int
) -> str | None:
    """The call with a result that does not move along when the tile moves over the image.

    Parameters
    ----------
    tile_at : function
        Returns the tile that starts a number of voxels further along the axis.
    axis : int
        The spatial axis, one of ``ndim``.
    """
    latest: tuple[int, str] | None = None
    for shift in _SHIFTS:
        at_fault = _uneven(
            _recorded(module, tile_at(0)), _recorded(module, tile_at(shift)), shift, axis - ndim
        )
        if at_fault is None:
            return None
        # A correct pooling may not move along with one of the shifts; the call at fault moves
        # along with none.
        latest = at_fault if latest is None else max(latest, at_fault)
    return None if latest is None else latest[1]


@dataclass(frozen=True, slots=True)
class _ShiftAgreement:
    """How far two results of a call agree, for a tile and for the shifted tile.

    Parameters
    ----------
    moved : float
        Longest run of voxels that moved along with the tile, as a share of all that could.
    still : bool
        Whether both results are equal, without any shift.
    lost : bool
        Whether a reshaping call has lost the axis, so that the comparison says nothing.
    """

    moved: float
    still: bool
    lost: bool = False


def _uneven(
    here: Sequence[Call], there: Sequence[Call], shift: int, axis: int
) -> tuple[int, str] | None:
    """Number and text of the first call at fault; None if there is none."""
    known: dict[int, _ShiftAgreement] = {}
    makers: dict[int, int] = {}
    for number, (one, other) in enumerate(zip(here, there)):
        if one.name != other.name or one.output.shape != other.output.shape:
            return number, str(one)
        for a, b in zip(one.inputs, other.inputs):
            if id(a) not in known:
                known[id(a)] = _agreement(a, b, shift, axis)
        before = [known[id(given)] for given in one.inputs]
        now = _agreement(one.output, other.output, shift, axis)
        reached = min((a.moved for a in before if not a.still), default=1.0)
        widest = max((given.numel() for given in one.inputs), default=0)
        reshaped = one.name.rpartition(".")[2] in _RESHAPING or any(a.lost for a in before)
        if reshaped and not now.still and widest < _FEWER * one.output.numel():
            now = _ShiftAgreement(reached, still=False, lost=now.moved < _COLLAPSE * reached)
        elif not now.still and now.moved < _COLLAPSE * reached:
            return number, _root(one, here, known, makers)
        known[id(one.output)] = now
        makers[id(one.output)] = number
    return None


def _root(
    call: Call, calls: Sequence[Call], known: dict[int, _ShiftAgreement], makers: dict[int, int]
) -> str:
    """The call that made the argument that does not move; the call itself if there is none.

    It is at fault if the call combines this argument with another argument that does move.
    """
    moving = [i for i in call.inputs if not known[id(i)].still]
    fixed = [i for i in call.inputs if known[id(i)].still and id(i) in makers and _varies(i)]
    if not moving or not fixed:
        return str(call)
    maker = calls[makers[id(fixed[0])]]
    while earlier := [i for i in maker.inputs if id(i) in makers and _varies(i)]:
        maker = calls[makers[id(earlier[0])]]
    return str(maker)


def _agreement(here: Tensor, there: Tensor, shift: int, axis: int) -> _ShiftAgreement:
    if here.shape != there.shape:
        return _ShiftAgreement(0.0, still=False)
    if same(here, there):
        return _ShiftAgreement(1.0, still=True)
    if here.ndim < -axis:
        return _ShiftAgreement(0.0, still=False)
    size = here.shape[axis]
    steps = [shift // j for j in range(1, shift + 1) if shift % j == 0] + [2 * shift, 4 * shift]
    runs = [_run(here, there, step, axis) for step in steps if 2 * step < size or step == 1 < size]
    return _ShiftAgreement(max(runs, default=0.0), still=False)


def _run(here: Tensor, there: Tensor, step: int, axis: int) -> float:
    """Longest run of agreeing voxels along the axis, as a share of all voxels that could agree."""
    size = here.shape[axis]
    a, b = here.narrow(axis, step, size - step), there.narrow(axis, 0, size - step)
    if not a.is_floating_point():
        unequal = a != b
    else:
        allowed = TOLERANCE * float(a.std(correction=0)) + ROUNDING * float(a.abs().max())
        unequal = ~((a - b).abs() <= allowed)
    along = unequal.movedim(axis, 0).reshape(size - step, -1).any(dim=1).tolist()
    longest = current = 0
    for wrong in along:
        current = 0 if wrong else current + 1
        longest = max(longest, current)
    return longest / (size - step)


def _recorded(module: nn.Module, image: Tensor) -> list[Call]:
    with WideCasts():
        return record_calls(module, image)


def same(a: Tensor, b: Tensor) -> bool:
    """Whether all values are equal; NaN equals NaN."""
    if a.shape != b.shape:
        return False
    return bool(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True))


def _is_nan(value: Tensor) -> Tensor:
    return torch.isnan(value)


def _reaches_rim(value: Tensor) -> bool:
    if value.ndim < 3:
        return False
    wrong = _is_nan(value)
    return any(bool(wrong.select(axis, end).any()) for axis in (-1, -2) for end in (0, -1))


def _nan_share(value: Tensor) -> float:
    return float(_is_nan(value).double().mean()) if value.numel() else 0.0


def _varies(value: Tensor) -> bool:
    """Whether the tensor has several different values, as coordinates have."""
    return value.numel() > 1 and bool((value != value.reshape(-1)[0]).any())
