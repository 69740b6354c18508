"""Maps of scores, and what is made of them: labels, probabilities, margins, and a check."""

from __future__ import annotations

import torch
from torch import Tensor

from bigunet.errors import ModelError
from bigunet.options.choices import Precision, ScoreKind


def labels_of(scores: Tensor) -> Tensor:
    """Class of each voxel, uint8: the class with the highest score.

    Of equal scores the first counts. A single score means foreground where it is above 0. Scores
    are (class, *space), and finite.
    """
    if scores.shape[0] == 1:
        positive: Tensor = scores[0] > 0
        return positive.view(torch.uint8)
    # Argmax along the first axis jumps through memory, and takes 10 to 30 times as long.
    first, second, *others = scores
    labels: Tensor = (second > first).view(torch.uint8)
    best = torch.maximum(first, second) if others else first
    for number, score in enumerate(others, start=2):
        # A later class has a greater number than all before it.
        labels = torch.maximum(labels, (score > best).view(torch.uint8).mul_(number))
        if number <= len(others):
            best = torch.maximum(best, score)
    return labels


def score_margin(scores: Tensor) -> Tensor:
    """Difference between the best score and the second best score of each voxel."""
    if scores.shape[0] == 1:
        return scores[0].abs()
    best = scores.topk(2, dim=0).values
    return best[0] - best[1]


def probabilities_of(scores: Tensor) -> Tensor:
    """Softmax over the classes; a single score s gives the two 1 - sigmoid(s) and sigmoid(s)."""
    if scores.shape[0] == 1:
        scores = torch.cat((torch.zeros_like(scores), scores))
    return scores.softmax(dim=0)


def shares_as_bytes(scores: Tensor, kind: ScoreKind) -> Tensor:
    """Probabilities of the classes as bytes: 255 is a probability of 1."""
    shares = scores if kind == "probabilities" else probabilities_of(scores)
    return (shares * 255).round().clamp(0, 255).to(torch.uint8)


def are_finite(scores: Tensor) -> Tensor:
    """Whether all scores are finite, in one pass and without waiting for the device."""
    # Along memory: a pass over scores with the channel last would jump, and take 15 times as long.
    along = sorted(range(scores.ndim), key=scores.stride, reverse=True)
    lowest, highest = torch.aminmax(scores.permute(along))
    return torch.isfinite(lowest) & torch.isfinite(highest)


def check_scores_finite(finite: bool, precision: Precision) -> None:
    """Raise ModelError if scores are not finite; the message names the probable cause."""
    if not finite:
        cause = "its weights are damaged, or voxels lie far beyond the grey range"
        if precision != "fp32":
            cause = "an overflow; run it in fp32"
        raise ModelError(f"the network gave scores that are not finite in {precision}: {cause}")
