"""The receptive field of any module, measured: NaN in, NaN out, for every phase of the stride.

A NaN voxel reaches exactly the outputs that can depend on it, whatever the weights: through
convolutions, poolings, interpolations and activations. Tiles that are shifted against each other
show the stride. Layers that mix the whole tile (instance or group normalisation, global pooling,
attention) spread the NaN everywhere; the error names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from bigunet.errors import InexactError, ModelError
from bigunet.geometry import round_up
from bigunet.model.copying import copied
from bigunet.model.probing.casts import WideCasts
from bigunet.model.probing.cubic_tiles import (
    best_size,
    field_of_scores,
    hits,
    measured_stride,
    reach,
)
from bigunet.model.probing.fault import hiding_call, random_call, same
from bigunet.model.probing.misread import refuse_misread, refused_tiles
from bigunet.model.probing.mixing import KNOWN_TO_MIX, mixing_layer
from bigunet.model.probing.scores import module_name, score_kind
from bigunet.model.probing.stated import at_least, field_of_stated, stated_halo
from bigunet.model.probing.strips import (
    LIKELY_STEPS,
    refuse_what_is_not_local,
    spread_everywhere,
    whole_tile,
)
from bigunet.model.probing.trial import Trial, holds, off_grid
from bigunet.options.choices import ScoreKind
from bigunet.receptive import ReceptiveField

# Tile sizes to try, until the reach of one voxel fits the tile.
_SIZES = {2: (48, 96, 192, 384, 768), 3: (32, 64, 128, 192)}
# The smallest width of strips.
_NARROW = 16
# Passes over the same image after the first one; a module is random if their scores differ.
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured about a module.

    Parameters
    ----------
    field : ReceptiveField
    num_scores : int
        Number of scores per voxel.
    scores : {"logits", "probabilities"}
        What the scores are.
    """

    field: ReceptiveField
    num_scores: int
    scores: ScoreKind


def probe(
    module: nn.Module,
    *,
    in_channels: int,
    ndim: int,
    scores: ScoreKind | None = None,
    halo: Sequence[int] = (),
) -> Probed:
    """Measure the receptive field and the scores of a module in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (1, in_channels, *space) to (1, scores, *space) on the same voxel grid.
    scores : {"logits", "probabilities"}, optional
        What the scores are, if the caller knows it; by default it is measured.
    halo : sequence of int, optional
        The halo that the caller states, one number or one for each axis, if it cannot be measured.

    Raises
    ------
    ModelError
        If the module takes no cubic tile, changes the voxel grid, is random, or hides its input
        from the measurement. If the output of a call depends on the whole tile or on its place. If
        the scores are neither logits nor probabilities. The message names the layer or the call.
    """
    if ndim not in _SIZES:
        raise ModelError(f"a module of {ndim} spatial axes; bigunet runs 2 and 3: give ndim=2 or 3")
    # float64, so that rounding cannot look like a dependence on the tile.
    test = Trial(copied(module).cpu().double().eval(), in_channels, ndim)
    width = _check_grid(test)
    _check_repeatable(test, width)
    kind = score_kind(test, width, scores)
    try:
        field, num_scores = _local(test, width)
    except ModelError:
        if not halo:
            raise
        return Probed(*field_of_stated(test, stated_halo(halo, ndim), width), kind)
    return Probed(at_least(field, stated_halo(halo, ndim)) if halo else field, num_scores, kind)


def _local(test: Trial, width: int) -> tuple[ReceptiveField, int]:
    """The measured receptive field and the number of scores; ModelError if there is none."""
    _refuse_known_mixers(test, width)
    narrow = best_size(test, _NARROW) or width
    lost = test.losses(_NARROW).get(narrow, 0)
    refuse_what_is_not_local(test, narrow, lost, _SIZES[test.ndim])
    return _measured(test, width)


def _check_grid(test: Trial) -> int:
    """The size of the smallest cubic tile that the module accepts.

    Raises
    ------
    ModelError
        If there is no such tile, or if the scores are not the image's voxels without a border.
    """
    refuse_misread(test, _SIZES[test.ndim][0])
    losses: dict[int, int] = next(filter(None, map(test.losses, _SIZES[test.ndim])), {})
    if not losses:
        raise refused_tiles(test, _SIZES[test.ndim][-1])
    size, lost = min(losses.items(), key=lambda item: item[1])
    # Larger tiles lose as much, unless the scores have a coarser grid: then the loss grows.
    larger = [size + step for step in LIKELY_STEPS]
    losses_on_shapes = test.on_shapes().lost(larger, "meta")
    is_same = any(n == lost for _, n in losses_on_shapes)
    is_same = is_same or any(n == lost for _, n in test.lost(larger))
    if lost < 0 or lost % 2 or not is_same:
        raise off_grid((size,) * test.ndim, (size - lost,) * test.ndim)
    return size


def _check_repeatable(test: Trial, size: int) -> None:
    """Raise ModelError if a second pass over the same image gives other scores."""
    image = test.noise(size)
    first = test.run(image)
    for _ in range(_REPEATS):
        again = test.run(image)
        if first is None or again is None or not same(first, again):
            raise ModelError(
                f"{random_call(test.module, image)}: gives other scores for the same image when "
                "it runs again; it must not be random, nor remember: use dropout by nn.Dropout"
            )


def _refuse_known_mixers(test: Trial, size: int) -> None:
    poisoned = test.poisoned(size, size // 2)
    with WideCasts():
        culprit = mixing_layer(test.module, poisoned, KNOWN_TO_MIX)
    if culprit:
        raise spread_everywhere(culprit)


def _measured(test: Trial, width: int) -> tuple[ReceptiveField, int]:
    """Receptive field and number of scores, measured with cubic tiles of growing sizes."""
    for smallest in _SIZES[test.ndim]:
        size = best_size(test, smallest)
        if size is None:
            continue
        if hits(test, size, size // 2) is None:
            break  # out of memory
        _refuse_known_mixers(test, size)
        if reach(test, size, phases=1) is None:
            continue
        stride = measured_stride(test, size)
        furthest = None if stride is None else reach(test, size, phases=stride)
        if stride is not None and furthest is not None:
            return _confirmed(test, size, stride=stride, furthest=furthest)
    # Shown with the smallest tile, because hand-written attention needs gigabytes on larger ones.
    raise whole_tile(test, width)


def _confirmed(test: Trial, size: int, *, stride: int, furthest: int) -> tuple[ReceptiveField, int]:
    """The field measured on tiles of ``size``, after its values were checked on larger tiles."""
    _check_visible(test, size, stride)
    field, num_scores = field_of_scores(test, size, stride=stride, furthest=furthest)
    if not holds(test, field):
        # A module that resizes to its input's size is regular only on whole numbers of strides.
        size = round_up(size, stride)
        whole = reach(test, size, phases=stride)
        if whole is not None:
            field, num_scores = field_of_scores(test, size, stride=stride, furthest=whole)
        if whole is None or not holds(test, field):
            raise InexactError(
                f"{_hiding(test, size)}: tiles and a larger tile around them give different scores "
                f"at the measured stride {field.stride[0]} and halo {field.halo[0]}: no output may "
                "depend on the tile"
            )
    _check_centred(test, size, stride=stride, border=field.border[0])
    return field, num_scores


def _check_visible(test: Trial, size: int, stride: int) -> None:
    """Raise ModelError if a NaN voxel changes no score, in any phase of the stride."""
    all_hits = [hits(test, size, size // 2 + phase) for phase in range(stride)]
    if not any(hit is not None and hit.any() for hit in all_hits):
        raise ModelError(
            f"{_hiding(test, size)}: the module's halo cannot be measured: it hides what its "
            "input was, as nan_to_num or a comparison does; move that step out of the module"
        )


def _check_centred(test: Trial, size: int, *, stride: int, border: int) -> None:
    """Raise ModelError if the scores were cut by more on one side than on the other.

    Over all phases of a stride together, a voxel reaches as far back as ahead. A crop that is off
    by one voxel changes the difference of the two by 2, an even kernel by 1. If there are as many
    scores as voxels, they are in their place, however far the network looks to each side.
    """
    if border == 0:
        return
    for axis in range(test.ndim):
        others = tuple(a for a in range(test.ndim) if a != axis)
        ends = []
        for at in range(size // 2, size // 2 + stride):
            hit = hits(test, size, at)
            if hit is not None and hit.any():
                where = np.nonzero(hit.any(axis=others))[0] + border - at
                ends.append(int(where[0]) + int(where[-1]))
        if abs(sum(ends)) >= 2 * len(ends):
            raise ModelError(
                f"the module's scores lie {abs(sum(ends)) / (2 * len(ends)):g} voxels beside the "
                f"voxels they are of, along spatial axis {axis}: not the image's voxel grid; "
                "crop by the same on both sides"
            )


def _hiding(test: Trial, size: int) -> str:
    """The call that hides a NaN; the module's name if there is no such call."""
    at_fault = hiding_call(test.module, test.poisoned(size, size // 2))
    return at_fault or module_name(test.module)
