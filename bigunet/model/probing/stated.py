"""A halo that the user states: it is checked on noise, and the stride is measured with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bigunet.errors import InexactError, ModelError
from bigunet.geometry import Point, round_up
from bigunet.model.probing.trial import MAX_STRIDE, Trial, equal
from bigunet.options.short_repr import shown_shape
from bigunet.receptive import ReceptiveField

# Strides of poolings by two come first: most networks have one of them.
_STRIDES = tuple(dict.fromkeys((1, 2, 4, 8, 16, 32, 64, *range(1, MAX_STRIDE + 1))))
# Context beyond the stated halo while the stride is measured.
_MORE = {2: 32, 3: 8}
# Voxels that are compared along each axis, at least.
_COMPARED = 16


def stated_halo(halo: Sequence[int], ndim: int) -> Point:
    """The halo for each axis, from one number or one for each.

    Raises
    ------
    ModelError
        If there are numbers for other axes.
    """
    if len(halo) not in (1, ndim):
        raise ModelError(f"halo {tuple(halo)} for {ndim} axes: give one number, or {ndim}")
    return tuple(halo) * (ndim if len(halo) == 1 else 1)


def at_least(field: ReceptiveField, stated: Point) -> ReceptiveField:
    """The field with a stated halo; ModelError if that is smaller than the measured one."""
    if any(given < needed for given, needed in zip(stated, field.halo)):
        raise ModelError(
            f"the stated halo {shown_shape(stated)} is less than {shown_shape(field.halo)}, which "
            "was measured: leave it out"
        )
    wider = (round_up(given, stride) for given, stride in zip(stated, field.stride))
    return replace(field, halo=tuple(map(max, zip(wider, field.halo))))


def field_of_stated(test: Trial, halo: Point, size: int) -> tuple[ReceptiveField, int]:
    """The field with a stated halo, after tiles agreed with larger tiles; the number of scores.

    Parameters
    ----------
    test : Trial
    halo : tuple of int
    size : int
        A size that the module accepts.

    Raises
    ------
    InexactError
        If they agree at no stride.
    """
    scores = test.run(test.noise(size))
    assert scores is not None
    border = (size - scores.shape[-1]) // 2

    def holds(stride: int, more: int) -> ReceptiveField | None:
        context = (round_up(max(n, border) + more, stride) for n in halo)
        numbers = (stride, border, size % stride)
        same, edge, rest = ((n,) * test.ndim for n in numbers)
        field = ReceptiveField(same, edge, tuple(context), rest)
        return field if all(_agrees(test, field, k * stride) for k in (1, 3)) else None

    # With more context than stated, so that a halo that is too small does not look like a stride.
    stride = next((s for s in _STRIDES if holds(s, _MORE[test.ndim])), None)
    if stride is not None and (field := holds(stride, 0)):
        return field, int(scores.shape[1])
    raise InexactError(
        f"the stated halo {shown_shape(halo)} does not hold: tiles with it differ from a "
        "larger tile around them; state a larger one"
    )


def _agrees(test: Trial, field: ReceptiveField, shift: int) -> bool:
    """Whether a tile has the scores of a tile that is larger by ``shift`` on each side."""
    kept = tuple(round_up(_COMPARED, s) for s in field.stride)
    inner = field.input_shape(kept)
    outer = tuple(n + 2 * shift for n in inner)
    around = _noise(test, outer)
    whole = test.run(around)
    scores = test.run(_part(around, [(shift, shift + n) for n in inner]))
    if whole is None or scores is None or tuple(scores.shape[2:]) != field.scores_shape(inner):
        return False
    first = [h - b for h, b in zip(field.halo, field.border)]
    ends = [(a, a + n) for a, n in zip(first, kept)]
    moved = [(a + shift, b + shift) for a, b in ends]
    return equal(_part(whole, moved), _part(scores, ends))


def _noise(test: Trial, shape: Sequence[int]) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    full = (1, test.in_channels, *shape)
    return torch.rand(full, generator=generator, dtype=torch.float64)


def _part(values: Tensor, ends: Iterable[tuple[int, int]]) -> Tensor:
    """The part of an image or of scores between ends along the spatial axes."""
    return values[(slice(None), slice(None), *(slice(a, b) for a, b in ends))]
