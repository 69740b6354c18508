"""Laws of calibration: the score never falls, and kept scores give the network's own labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.discs import discs, grey_of, sample_of

from bigunet import Model
from bigunet.errors import TrainingError
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.training.calibrate import add_offsets, search_offsets
from bigunet.training.segmented_samples import score_samples, segment_samples

offsets = st.tuples(*(st.floats(-2, 2) for _ in range(3)))


@settings(max_examples=30)
@given(offsets, st.booleans())
def test_the_search_comes_near_the_best_offsets_and_never_lowers_the_score(
    target: tuple[float, ...], rises: bool
) -> None:
    def score(offsets: tuple[float, ...]) -> float:
        return -sum((a - b) ** 2 for a, b in zip(offsets, target)) if rises else 0.0

    best, best_score = search_offsets(score, 3)
    assert best_score == score(best) >= score((0.0, 0.0, 0.0))
    if rises:
        assert max(abs(a - b) for a, b in zip(best, target)) <= 0.125 + 1e-9
    else:
        assert best == (0.0, 0.0, 0.0)


def test_offsets_are_bounded() -> None:
    best, _ = search_offsets(lambda offsets: offsets[1], 2)
    assert best == (0.0, 3.0)


@settings(max_examples=4, deadline=None)
@given(offsets)
def test_kept_scores_with_offsets_give_the_labels_of_the_shifted_network(
    added: tuple[float, ...],
) -> None:
    torch.manual_seed(0)
    module = UNet(UNetConfig(classes=3, width=4, depth=1)).initialise().eval()
    names = ["background", "cell", "border"]
    samples = [sample_of(labels, grey_of(labels)) for labels in (discs((30, 26)), discs((22, 41)))]
    model = Model.of_module(module, ndim=2, classes=names)
    scored = score_samples(model, samples, device="cpu", max_voxels=10**6)
    add_offsets(module, added)
    shifted = Model.of_module(module, ndim=2, classes=names)
    expected = segment_samples(shifted, samples, device="cpu")
    for kept, other in zip(scored, expected, strict=True):
        segmented = kept.segmented(added)
        np.testing.assert_array_equal(segmented.truth, other.truth)
        # Half precision gives another label where two scores are nearly equal.
        assert (segmented.classes != other.classes).mean() < 0.01


def test_no_more_scores_are_kept_than_there_is_room_for() -> None:
    model = Model.of_module(UNet(UNetConfig(classes=2, width=2, depth=1)).initialise(), ndim=2)
    samples = [sample_of(discs((20, 20))) for _ in range(3)]
    for room, expected in ((400, [400]), (800, [400, 400]), (799, [400]), (100, [100])):
        kept = score_samples(model, samples, device="cpu", max_voxels=room)
        assert [one.truth.size for one in kept] == expected


def test_a_network_of_other_classes_is_refused() -> None:
    with pytest.raises(TrainingError, match="no bias for 3 classes"):
        add_offsets(UNet(UNetConfig(classes=2, width=2, depth=1)), (0.0, 0.0, 1.0))
