"""Law: labels are those that the output of a package means."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bigunet.errors import ModelError
from bigunet.model.inference.score_maps import labels_of, probabilities_of
from bigunet.model.packages.package import PackageTensor, ProcessingStep
from bigunet.model.packages.postprocessing import output_rule
from bigunet.model.packages.scores_of_package import Measuring, WithBackground, scored


class _Pointwise(nn.Module):
    """Scores that are multiples of the grey value."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, len(factors), 1)
        with torch.no_grad():
            self.conv.weight[:] = torch.tensor(factors).reshape(-1, 1, 1, 1)
            self.conv.bias.zero_()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.conv(image)
        return scores


def rule(*steps: ProcessingStep):
    return output_rule(PackageTensor("out", (), steps))


@given(
    st.floats(0.05, 0.95),
    st.floats(0.1, 9),
    st.floats(-3, 3),
    st.sampled_from([1.0, 255.0]),
)
def test_a_threshold_cuts_where_the_package_cuts(threshold, gain, offset, scale) -> None:
    steps = [
        ProcessingStep("scale_linear", {"gain": gain, "offset": offset}),
        ProcessingStep("sigmoid"),
        ProcessingStep("scale_linear", {"gain": scale}),
        ProcessingStep("binarize", {"threshold": threshold * scale}),
    ]
    shifted = rule(*steps).shifted()
    logits = np.linspace(-9, 9, 301)
    output = scale / (1 + np.exp(-(gain * logits + offset)))
    firm = np.abs(output - threshold * scale) > 1e-6
    labels = shifted.gain * logits + shifted.offset > 0
    assert np.array_equal(labels[firm], (output > threshold * scale)[firm])


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=4))
def test_of_several_sigmoids_the_highest_above_a_half_is_the_label(logits) -> None:
    scores = torch.tensor(logits, dtype=torch.float64).reshape(1, -1, 1, 1)
    shares = WithBackground(nn.Identity(), sigmoid=True)(scores)[0]
    p = 1 / (1 + np.exp(-np.array(logits, np.float32)))
    firm = len(set(np.round(p, 5))) == len(p) and np.abs(p - 0.5).min() > 1e-5
    expected = 1 + int(np.argmax(p)) if p.max() > 0.5 else 0
    if firm:
        assert int(labels_of(shares)[0, 0]) == expected
    np.testing.assert_allclose(shares[:, 0, 0], [1 - p.max(), *p], atol=1e-6)


def test_one_sigmoid_is_foreground_and_background() -> None:
    model = scored(_Pointwise(2.0), rule(ProcessingStep("sigmoid")), 1, Measuring())
    scores = model.module(torch.full((1, 1, 1, 1), 0.5))[0].detach()
    assert model.scores == "logits"
    assert float(probabilities_of(scores)[1]) == pytest.approx(1 / (1 + np.exp(-1.0)))


def test_a_softmax_takes_the_highest() -> None:
    model = scored(_Pointwise(1.0, 2.0, -1.0), rule(ProcessingStep("softmax")), 3, Measuring())
    scores = model.module(torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2))[0].detach()
    assert labels_of(scores).tolist() == [[2, 1]]


def test_another_number_of_channels_than_stated_is_refused() -> None:
    with pytest.raises(ModelError, match="gives 2 channels, and its output states 3"):
        scored(_Pointwise(1.0, 2.0), rule(ProcessingStep("softmax")), 3, Measuring())


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["scale_mean_variance"], "scale_mean_variance"),
        ([("binarize", {"threshold": 0.5, "axis": "x"})], "axis"),
        (["sigmoid", ("ensure_dtype", {"dtype": "uint8"})], "rounds"),
        (["sigmoid", "sigmoid"], "follows sigmoid"),
        (["stardist_postprocessing"], "stardist_postprocessing"),
        ([("scale_linear", {"gain": -1.0})], "swap the classes"),
        ([("clip", {"min": 0.0})], "decide about labels"),
        (["softmax", ("binarize", {"threshold": 0.5})], "highest class"),
        (["sigmoid", ("binarize", {"threshold": 1.5})], "one class only"),
        ([("binarize", {"threshold": [0.5, 0.6]})], "channel to channel"),
        ([("softmax", {"axis": "x"})], "not along the channels"),
    ],
)
def test_a_step_without_a_meaning_for_labels_is_refused(steps, message) -> None:
    made = [ProcessingStep(*(one if isinstance(one, tuple) else (one,))) for one in steps]
    with pytest.raises(ModelError, match=message):
        rule(*made)


def test_a_clip_that_probabilities_do_not_feel_is_passed_over() -> None:
    steps = [ProcessingStep("sigmoid"), ProcessingStep("clip", {"min": 0.0, "max": 1.0})]
    assert rule(*steps).activation == "sigmoid"


def test_a_threshold_keeps_labels_and_says_whether_probabilities_are_kept() -> None:
    ends = torch.linspace(-4, 4, 161).reshape(1, 1, 1, -1)
    for threshold, kept in ((0.5, True), (0.1, False)):
        steps = [ProcessingStep("sigmoid"), ProcessingStep("binarize", {"threshold": threshold})]
        model = scored(_Pointwise(1.0), rule(*steps), 1, Measuring())
        scores = model.module(ends)[0].detach()
        p = torch.sigmoid(ends[0])
        assert model.keeps_probabilities == kept
        assert torch.equal(labels_of(scores).bool(), p[0] > threshold)
        if kept:
            assert torch.allclose(probabilities_of(scores)[1], p[0])


def test_a_network_that_ends_in_a_sigmoid_keeps_its_probabilities_under_binarize() -> None:
    class Ended(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(image)

    model = scored(Ended(), rule(ProcessingStep("binarize", {"threshold": 0.5})), 1, Measuring())
    assert (model.scores, model.keeps_probabilities) == ("probabilities", True)
    other = scored(Ended(), rule(ProcessingStep("binarize", {"threshold": 0.3})), 1, Measuring())
    assert not other.keeps_probabilities


def test_a_model_is_opened_without_the_random_numbers_of_the_caller() -> None:
    class Shares(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat((torch.sigmoid(image), torch.sigmoid(-2 * image)), dim=1)

    before = torch.get_rng_state()
    model = scored(Shares(), rule(), 2, Measuring())
    assert model.description.classes
    assert torch.equal(before, torch.get_rng_state())
