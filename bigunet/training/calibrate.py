"""Setting class scores right after training: class weights make the rare classes too likely.

A network that was trained with weights on its classes gives the probabilities of a world in which
they are so frequent. An offset to each class's score makes up for that; which one serves the
segmentation best is looked for on all images: a number per class is soon found, and of few images
it is found by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from bigunet.errors import TrainingError
from bigunet.model.networks.network import Network

Offsets = tuple[float, ...]

_STEPS = (0.5, 0.25)
# Of the classes' scores, in logits: beyond it, weights and not their sum are at fault.
_LARGEST = 3.0


def search_offsets(score: Callable[[Offsets], float], num_classes: int) -> tuple[Offsets, float]:
    """Offsets of the classes' scores that give a better score than none, by coordinate search.

    Each class in turn is raised or lowered as long as that helps, by 0.5 and then by 0.25.

    Parameters
    ----------
    score : callable
        Of the segmentation with these offsets; higher is better.
    num_classes : int

    Returns
    -------
    offsets : tuple of float
        All 0 where nothing helps.
    score : float
        With them: never less than without.
    """
    best: Offsets = (0.0,) * num_classes
    reached = score(best)
    for step in _STEPS:
        moved = True
        while moved:
            moved = False
            for tried in _neighbours(best, step):
                found = score(tried)
                if found > reached:
                    best, reached, moved = tried, found, True
                    break
    return best, reached


def add_offsets(module: Network, offsets: Sequence[float]) -> None:
    """Add offsets to the scores that a network gives, in its last layer.

    Raises
    ------
    TrainingError
        If the network gives another number of scores, or its last layer has no bias.
    """
    bias = getattr(module.get_submodule("head"), "bias", None)
    if bias is None or len(bias) != len(offsets):
        raise TrainingError(f"a network whose last layer has no bias for {len(offsets)} classes")
    with torch.no_grad():
        bias += torch.tensor(offsets, dtype=bias.dtype, device=bias.device)


def _neighbours(offsets: Offsets, step: float) -> Iterator[Offsets]:
    for number, offset in enumerate(offsets):
        for change in (step, -step):
            if abs(offset + change) <= _LARGEST:
                yield (*offsets[:number], offset + change, *offsets[number + 1 :])
