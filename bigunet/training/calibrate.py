"""Calibration after training: offsets that correct the scores of the classes.

Class weights make rare classes too likely: a network trained with them gives the probabilities of
a world in which all classes are as frequent as their weights say. One offset per class corrects
that. The offsets are searched on many images, because offsets that are best on a few images may
be best by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from bigunet.errors import TrainingError
from bigunet.model.networks.network import Network

Offsets = tuple[float, ...]

_STEPS = (0.5, 0.25)
# In logits. A network that needs a larger offset has wrong weights, which no offset corrects.
_LARGEST = 3.0


def search_offsets(score: Callable[[Offsets], float], num_classes: int) -> tuple[Offsets, float]:
    """Search the offsets of the classes' scores that give the best segmentation.

    The search raises or lowers one class at a time, as long as that helps, first by 0.5 and then
    by 0.25.

    Parameters
    ----------
    score : callable
        Returns the score of the segmentation with given offsets; higher is better.
    num_classes : int

    Returns
    -------
    offsets : tuple of float
        All are 0 if no offset helps.
    score : float
        Score with these offsets. It is never lower than the score without offsets.
    """
    best: Offsets = (0.0,) * num_classes
    best_score = score(best)
    for step in _STEPS:
        moved = True
        while moved:
            moved = False
            for offsets in _neighbours(best, step):
                new_score = score(offsets)
                if new_score > best_score:
                    best, best_score, moved = offsets, new_score, True
                    break
    return best, best_score


def add_offsets(module: Network, offsets: Sequence[float]) -> None:
    """Add offsets to the scores of a network, in the bias of its last layer.

    Raises
    ------
    TrainingError
        If the network has another number of scores, or its last layer has no bias.
    """
    bias = getattr(module.get_submodule("head"), "bias", None)
    if bias is None or len(bias) != len(offsets):
        raise TrainingError(f"the last layer of the network has no bias for {len(offsets)} classes")
    with torch.no_grad():
        bias += torch.tensor(offsets, dtype=bias.dtype, device=bias.device)


def _neighbours(offsets: Offsets, step: float) -> Iterator[Offsets]:
    for number, offset in enumerate(offsets):
        for change in (step, -step):
            if abs(offset + change) <= _LARGEST:
                yield (*offsets[:number], offset + change, *offsets[number + 1 :])
