"""Results of a tile from its scores, which come in parts along the first axis of space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from bigunet.model.inference.score_maps import are_finite, labels_of, shares_as_bytes
from bigunet.options.choices import ScoreKind


def results_of(
    parts: Iterable[Tensor], inner: Sequence[slice], *, shares: ScoreKind | None
) -> list[Tensor]:
    """Labels, whether all scores are finite, and the shares of the classes if asked for.

    Parameters
    ----------
    parts : iterable of Tensor, (class, planes, *inner)
        The scores of the tile, cut along their first axis of space. A part may be overwritten
        once the next one comes.
    inner : sequence of slice
        The part of the scores that is kept, per axis of space.
    shares : {"logits", "probabilities"} or None
        What the scores are, for the shares; None for no shares.
    """
    labels, finite, bytes_of_shares = [], [], []
    seen = 0
    for scores in parts:
        planes = scores.shape[1]
        start, stop, _ = inner[0].indices(_FAR)
        first, seen = seen, seen + planes
        ahead = slice(max(0, start - first), max(0, min(planes, stop - first)))
        finite.append(are_finite(scores))
        kept = scores[(slice(None), ahead, *inner[1:])]
        if kept.shape[1]:
            labels.append(labels_of(kept))
            if shares is not None:
                bytes_of_shares.append(shares_as_bytes(kept, shares))
    results = [joined(labels, axis=0), torch.stack(finite).all()]
    return [*results, joined(bytes_of_shares, axis=1)] if shares is not None else results


def joined(parts: Iterable[Tensor], *, axis: int) -> Tensor:
    """The parts in one tensor; a single part stays as it is."""
    together = list(parts)
    return together[0] if len(together) == 1 else torch.cat(together, dim=axis)


# Larger than any tile, for slices that have no end.
_FAR = 2**62
