"""The loss equals the formula of the paper, written out."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.training.loss import weighted_cross_entropy


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
@settings(deadline=None)
def test_the_loss_is_the_papers_sum_over_the_number_of_voxels(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (2, classes, 3, 4))
    truth = rng.integers(0, classes, (2, 3, 4))
    weights = rng.uniform(0, 12, (2, 3, 4))
    energy = 0.0
    for index in np.ndindex(truth.shape):
        n, *x = index
        exponents = [math.exp(scores[(n, k, *x)]) for k in range(classes)]
        energy += weights[index] * math.log(exponents[truth[index]] / sum(exponents))
    loss = weighted_cross_entropy(
        torch.from_numpy(scores), torch.from_numpy(truth), torch.from_numpy(weights)
    )
    assert math.isclose(float(loss), -energy / truth.size, rel_tol=1e-4)


def test_a_voxel_of_weight_zero_does_not_count() -> None:
    scores = torch.zeros(1, 2, 4, requires_grad=True)
    weights = torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    weighted_cross_entropy(scores, torch.ones(1, 4, dtype=torch.int64), weights).backward()
    assert scores.grad is not None
    assert (scores.grad[0, :, 1] == 0).all()
    assert (scores.grad[0, :, 0] != 0).all()
