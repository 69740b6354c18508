"""The receptive field of an arbitrary module, measured: NaN in, NaN out, for every stride phase.

A NaN voxel reaches exactly the outputs that can depend on it, whatever the weights: through
convolutions, poolings, interpolations and activations. Tiles shifted against each other tell the
stride. Layers that mix the whole tile (instance or group normalisation, global pooling,
attention) spread the NaN everywhere, and are named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bigunet.choices import ScoreKind
from bigunet.errors import ModelError
from bigunet.geometry import round_up
from bigunet.model.copying import copied
from bigunet.model.probing.casts import WideCasts
from bigunet.model.probing.fault import hiding_call, random_call, same
from bigunet.model.probing.misread import refuse_misread, refused_tiles
from bigunet.model.probing.mixing import KNOWN_TO_MIX, mixing_layer
from bigunet.model.probing.scores import module_name, score_kind
from bigunet.model.probing.strips import (
    LIKELY_STEPS,
    refuse_what_is_not_local,
    spread_everywhere,
    whole_tile,
)
from bigunet.model.probing.trial import MAX_STRIDE, Trial, equal, holds, off_grid
from bigunet.receptive import ReceptiveField

# Tile sizes tried, until the reach of one voxel fits.
_SIZES = {2: (48, 96, 192, 384, 768), 3: (32, 64, 128, 192)}
# Strips are this wide, at least.
_NARROW = 16
# Passes over one image after the first, before a module counts as not random.
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured of a module.

    Parameters
    ----------
    field : ReceptiveField
    num_scores : int
        Per voxel.
    scores : {"logits", "probabilities"}
        What they are.
    """

    field: ReceptiveField
    num_scores: int
    scores: ScoreKind


def probe(
    module: nn.Module, *, in_channels: int, ndim: int, scores: ScoreKind | None = None
) -> Probed:
    """Receptive field and scores of a module in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (1, in_channels, *space) to (1, scores, *space) on the same voxel grid.
    scores : {"logits", "probabilities"}, optional
        What the scores are, where the caller knows it; by default it is measured.

    Raises
    ------
    ModelError
        If the module takes no cubic tile, changes the voxel grid, is random, hides its input from
        the measurement, or has a call whose output depends on the whole tile or its place, or
        gives scores that are neither logits nor probabilities; the message names the layer or
        call.
    """
    if ndim not in _SIZES:
        raise ModelError(f"a module of {ndim} spatial axes; bigunet runs 2 and 3: give ndim=2 or 3")
    # float64 tells a dependence on the tile from rounding.
    test = Trial(copied(module).cpu().double().eval(), in_channels, ndim)
    width = _check_grid(test)
    _check_repeatable(test, width)
    kind = score_kind(test, width, scores)
    _refuse_known_mixers(test, width)
    narrow = _accepted(test, _NARROW) or width
    refuse_what_is_not_local(test, narrow, test.losses(_NARROW).get(narrow, 0), _SIZES[ndim])
    found, num_scores = _measured(test, width)
    return Probed(found, num_scores, kind)


def _measured(test: Trial, width: int) -> tuple[ReceptiveField, int]:
    """Receptive field and number of scores, by cubic tiles."""
    for smallest in _SIZES[test.ndim]:
        size = _accepted(test, smallest)
        if size is None:
            continue
        if _hits(test, size, size // 2) is None:
            break  # out of memory
        _refuse_known_mixers(test, size)
        stride = None if _reach(test, size, phases=1) is None else _stride(test, size)
        reach = None if stride is None else _reach(test, size, phases=stride)
        if stride is not None and reach is not None:
            return _confirmed(test, size, stride=stride, reach=reach)
    # The smallest tile: by-hand attention wants gigabytes on larger ones.
    raise whole_tile(test, width)


def _refuse_known_mixers(test: Trial, size: int) -> None:
    poisoned = test.poisoned(size, size // 2)
    with WideCasts():
        culprit = mixing_layer(test.module, poisoned, KNOWN_TO_MIX)
    if culprit:
        raise spread_everywhere(culprit)


def _check_repeatable(test: Trial, size: int) -> None:
    """Raise ModelError where a second pass over the same image gives other scores."""
    image = test.noise(size)
    first = test.run(image)
    for _ in range(_REPEATS):
        again = test.run(image)
        if first is None or again is None or not same(first, again):
            raise ModelError(
                f"{random_call(test.module, image)}: gives other scores for the same image when "
                "it runs again; it must not be random, nor remember: use dropout by nn.Dropout"
            )


def _confirmed(test: Trial, size: int, *, stride: int, reach: int) -> tuple[ReceptiveField, int]:
    """The field measured on tiles of ``size``, once values have shown that it holds."""
    _check_visible(test, size, stride)
    found, scores = _field(test, size, stride=stride, reach=reach)
    if not holds(test, found):
        # What resizes to its input's size is regular only on whole numbers of strides.
        size = round_up(size, stride)
        whole = _reach(test, size, phases=stride)
        if whole is not None:
            found, scores = _field(test, size, stride=stride, reach=whole)
        if whole is None or not holds(test, found):
            raise ModelError(
                f"{_hiding(test, size)}: tiles and a larger tile around them give different scores "
                f"at the measured stride {found.stride[0]} and halo {found.halo[0]}: no output may "
                "depend on the tile"
            )
    _check_centred(test, size, stride=stride, border=found.border[0])
    return found, scores


def _check_visible(test: Trial, size: int, stride: int) -> None:
    """Raise ModelError where a NaN voxel shows in no score, whatever its phase."""
    hits = [_hits(test, size, size // 2 + phase) for phase in range(stride)]
    if not any(hit is not None and hit.any() for hit in hits):
        raise ModelError(
            f"{_hiding(test, size)}: the module's halo cannot be measured: it hides what its "
            "input was, as nan_to_num or a comparison does; move that step out of the module"
        )


def _check_centred(test: Trial, size: int, *, stride: int, border: int) -> None:
    """Raise ModelError where the scores were cut by more on one side than on the other.

    Over the phases of a stride taken together, a voxel reaches as far back as ahead. A crop that
    is off by one voxel changes the difference of the two by 2, an even kernel by 1. Scores as
    many as the voxels are in their place, however the network looks around.
    """
    if border == 0:
        return
    for axis in range(test.ndim):
        others = tuple(a for a in range(test.ndim) if a != axis)
        ends = []
        for at in range(size // 2, size // 2 + stride):
            hit = _hits(test, size, at)
            if hit is not None and hit.any():
                where = np.nonzero(hit.any(axis=others))[0] + border - at
                ends.append(int(where[0]) + int(where[-1]))
        if abs(sum(ends)) >= 2 * len(ends):
            raise ModelError(
                f"the module's scores lie {abs(sum(ends)) / (2 * len(ends)):g} voxels beside the "
                f"voxels they are of, along spatial axis {axis}: not the image's voxel grid; "
                "crop by the same on both sides"
            )


def _field(test: Trial, size: int, *, stride: int, reach: int) -> tuple[ReceptiveField, int]:
    scores = test.run(test.noise(size))
    assert scores is not None
    border = (size - scores.shape[-1]) // 2
    if border and _is_valid(test, size, stride):
        halo = border
    else:
        halo = round_up(max(reach, border), stride)
    values = (stride, border, halo, size % stride)
    return ReceptiveField(*((v,) * test.ndim for v in values)), int(scores.shape[1])


def _accepted(test: Trial, smallest: int) -> int | None:
    """The size from ``smallest`` on that loses least: poolings that round down lose more."""
    losses = test.losses(smallest)
    return min(losses, key=lambda size: (losses[size], size), default=None)


def _check_grid(test: Trial) -> int:
    """The smallest cubic tile that is accepted.

    Raises
    ------
    ModelError
        If there is none, or where the scores are not the image's voxels, less a border.
    """
    refuse_misread(test, _SIZES[test.ndim][0])
    losses: dict[int, int] = next(filter(None, map(test.losses, _SIZES[test.ndim])), {})
    if not losses:
        raise refused_tiles(test, _SIZES[test.ndim][-1])
    size, lost = min(losses.items(), key=lambda item: item[1])
    # On a coarser grid the loss grows with the size.
    larger = [size + step for step in LIKELY_STEPS]
    grown = test.on_shapes().lost(larger, "meta")
    found = next((n for _, n in grown if n == lost), None)
    if found is None:
        found = next((n for _, n in test.lost(larger) if n == lost), None)
    if lost < 0 or lost % 2 or found is None:
        raise off_grid((size,) * test.ndim, (size - lost,) * test.ndim)
    return size


def _stride(test: Trial, size: int) -> int | None:
    """The smallest shift with which the module commutes, away from the tile's border."""
    for shift in range(1, MAX_STRIDE + 1):
        if _commutes(test, size, shift):
            return shift
    return None


def _commutes(test: Trial, size: int, shift: int) -> bool:
    """Whether moving the tile by ``shift`` moves the scores in its middle, and nothing else."""
    center = size // 2
    hits, moved = _hits(test, size, center), _hits(test, size, center + shift)
    if hits is None or moved is None:
        return False
    if not np.array_equal(moved, np.roll(hits, (shift,) * test.ndim, range(test.ndim))):
        return False
    # Reach alone does not tell a coarse grid that finer layers hide; values do, unless dead.
    larger = test.noise(size + shift)
    here = test.run(test.cut(larger, 0, size))
    there = test.run(test.cut(larger, shift, size + shift))
    if here is None or there is None:
        return False
    middle = here.shape[-1] // 2
    # As wide as one period, or a wrong stride would pass by luck; as narrow as padding leaves.
    half = max(shift, here.shape[-1] // 16)
    start, stop = middle, min(middle + half, here.shape[-1])
    if start < shift:
        return False
    return equal(test.cut(here, start, stop), test.cut(there, start - shift, stop - shift))


def _reach(test: Trial, size: int, *, phases: int) -> int | None:
    """How far a voxel acts on either side, over phases; None if up to the tile's border."""
    furthest = 0
    for phase in range(phases):
        at = size // 2 + phase
        hit = _hits(test, size, at)
        if hit is None:
            return None
        border = (size - hit.shape[-1]) // 2
        for axis in range(test.ndim):
            others = tuple(a for a in range(test.ndim) if a != axis)
            where = np.nonzero(hit.any(axis=others))[0] + border
            if where.size == 0:
                continue
            if where[0] == border or where[-1] == size - border - 1:
                return None
            furthest = max(furthest, at - int(where[0]), int(where[-1]) - at)
    return furthest


def _hits(test: Trial, size: int, at: int) -> np.ndarray | None:
    """Which voxels of the scores depend on the voxel ``at``; None where the tile is refused."""
    if (size, at) not in test.known_hits:
        scores = test.run(test.poisoned(size, at))
        hits = None if scores is None else torch.isnan(scores).any(dim=1)[0].numpy()
        test.known_hits[size, at] = hits
    return test.known_hits[size, at]


def _is_valid(test: Trial, size: int, stride: int) -> bool:
    """Whether scores at the very rim of a tile are those of a larger one: nothing is padded."""
    larger = test.noise(size + 2 * stride)
    around = test.run(larger)
    scores = test.run(test.cut(larger, stride, stride + size))
    if scores is None or around is None:
        return False
    return equal(scores, test.cut(around, stride, stride + scores.shape[-1]))


def _hiding(test: Trial, size: int) -> str:
    """The call that hides a NaN, or the module."""
    at_fault = hiding_call(test.module, test.poisoned(size, size // 2))
    return at_fault or module_name(test.module)
