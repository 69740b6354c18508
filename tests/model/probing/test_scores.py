"""Laws of scores: they are logits, or probabilities that get no second softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bigunet.errors import ModelError
from bigunet.model.inference.forward import GreyRange, Predictor
from bigunet.model.inference.turning import TURNS, turned
from bigunet.model.model import Model

GREY = GreyRange((0.0,), (1.0,))
WHOLE = (slice(None), slice(None))
Step = Callable[[Tensor], Tensor]


class Ending(nn.Module):
    """A convolution with a last step."""

    def __init__(self, step: Step, *, scores: int, bias: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.step = nn.Conv2d(1, scores, 3, padding=1), step
        with torch.no_grad():
            self.conv.weight.mul_(9)
            self.conv.bias.add_(bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(self.conv(x))


def by_hand(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def softmax_by_hand(x: Tensor) -> Tensor:
    e = torch.exp(x - x.amax(dim=1, keepdim=True))
    return e / e.sum(dim=1, keepdim=True)


def both(x: Tensor) -> Tensor:
    return torch.cat((1 - x.sigmoid(), x.sigmoid()), dim=1)


@pytest.fixture(scope="module")
def tile() -> np.ndarray:
    return np.random.default_rng(0).random((1, 24, 24)).astype(np.float32)


@pytest.mark.parametrize(
    "step",
    [
        torch.sigmoid,
        by_hand,
        functional.hardsigmoid,
        lambda x: x.sigmoid()[..., 1:-1, 1:-1],
        lambda x: x.sigmoid().clamp(1e-6, 1 - 1e-6),
        lambda x: (x.tanh() + 1) / 2,
    ],
    ids=["sigmoid", "by hand", "hardsigmoid", "cropped", "clamped", "of tanh"],
)
def test_one_probability_is_foreground_above_a_half_and_is_written_as_it_is(
    step: Step, tile: np.ndarray
) -> None:
    module = Ending(step, scores=1)
    model = Model.of_module(module, ndim=2)
    with torch.inference_mode():
        expected = module(torch.from_numpy(tile)[None])[0, 0].numpy()
    prediction = Predictor(model, GREY).predict(tile, WHOLE, probabilities=True)
    assert model.scores == "probabilities"
    assert 0.1 < (expected > 0.5).mean() < 0.9
    assert np.array_equal(prediction.labels, expected > 0.5)
    assert prediction.probabilities is not None
    both_classes = np.stack((1 - expected, expected))
    assert np.abs(prediction.probabilities / 255 - both_classes).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("step", "scores"),
    [
        (lambda x: x.softmax(dim=1), 3),
        (nn.Softmax2d(), 2),
        (softmax_by_hand, 3),
        (both, 1),
        (lambda x: x.softmax(dim=1).clamp(1e-4, 1), 3),
    ],
    ids=["softmax", "Softmax2d", "by hand", "of one sigmoid", "clamped"],
)
def test_probabilities_that_sum_to_1_get_no_second_softmax(
    step: Step, scores: int, tile: np.ndarray
) -> None:
    module = Ending(step, scores=scores)
    model = Model.of_module(module, ndim=2)
    with torch.inference_mode():
        expected = module(torch.from_numpy(tile)[None])[0].numpy()
    prediction = Predictor(model, GREY).predict(tile, WHOLE, probabilities=True)
    assert model.scores == "probabilities"
    assert np.array_equal(prediction.labels, expected.argmax(axis=0))
    assert prediction.probabilities is not None
    assert np.abs(prediction.probabilities / 255 - expected).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("step", "scores"),
    [
        (nn.Identity(), 1),
        (nn.Identity(), 3),
        (nn.LogSoftmax(dim=1), 3),
        (functional.leaky_relu, 1),
        (lambda x: x * 1e-3, 1),  # these logits lie within 0 to 1 for ordinary images
        (lambda x: x * 0, 1),  # a last layer of zeros, before training
    ],
)
def test_logits_are_logits(step: Step, scores: int) -> None:
    assert Model.of_module(Ending(step, scores=scores, bias=0.1), ndim=2).scores == "logits"


def test_log_softmax_gives_the_probabilities_of_the_softmax(tile: np.ndarray) -> None:
    logarithms = Ending(nn.LogSoftmax(dim=1), scores=3)
    results = [
        Predictor(Model.of_module(module, ndim=2), GREY).predict(tile, WHOLE, probabilities=True)
        for module in (logarithms, Ending(nn.Softmax(dim=1), scores=3))
    ]
    assert np.array_equal(results[0].labels, results[1].labels)
    assert results[0].probabilities is not None
    assert results[1].probabilities is not None
    assert np.abs(results[0].probabilities.astype(int) - results[1].probabilities).max() <= 1


@pytest.mark.parametrize(
    ("step", "scores", "message"),
    [
        (lambda x: x.clamp(0, 1), 1, "one score that ends in clamp, 0 to 1: logit or probability"),
        (lambda x: x.clamp(0, 1), 2, "2 scores within 0 to 1 that do not sum to 1"),
        (functional.relu6, 1, "one score that ends in relu6, 0 to 6: logit or probability"),
        (torch.tanh, 1, "one score that ends in tanh, -1 to 1: logit or probability"),
        (functional.softplus, 1, "one score that ends in softplus"),
        (torch.relu, 1, "one score that ends in relu"),
        (functional.logsigmoid, 1, "one score that ends in log_sigmoid"),
        (lambda x: x.softmax(dim=1), 1, "a softmax over one score is always 1"),
        (lambda x: x.softmax(dim=0), 3, "a softmax over another axis than the classes"),
        (lambda x: x.argmax(dim=1, keepdim=True), 3, r"whole numbers \(int64\), as argmax"),
        (lambda x: x > 0, 1, r"whole numbers \(bool\), as argmax"),
        (lambda x: (x > 0).to(x.dtype), 1, "whole numbers only, as argmax or a threshold"),
        (lambda x: x.sigmoid().round(), 1, "whole numbers only, as argmax or a threshold"),
        (lambda x: x * 0 + 0.3, 1, "one score, 0.3 to 0.3: logit or probability"),
    ],
)
def test_scores_of_neither_kind_are_refused_in_one_line_with_a_remedy(
    step: Step, scores: int, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Model.of_module(Ending(step, scores=scores), ndim=2)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


def test_the_caller_may_say_what_scores_are(tile: np.ndarray) -> None:
    clamped = Ending(lambda x: x.clamp(0, 1), scores=1)
    shares = {}
    for kind in ("logits", "probabilities"):
        model = Model.of_module(clamped, ndim=2, scores=kind)  # type: ignore[arg-type]
        assert model.scores == kind
        shares[kind] = Predictor(model, GREY).predict(tile, WHOLE).labels.mean()
    assert shares["probabilities"] < shares["logits"]
    several = Model.of_module(Ending(torch.sigmoid, scores=3), ndim=2, scores="logits")
    assert several.scores == "logits"


@pytest.mark.parametrize(
    ("step", "scores", "stated", "message"),
    [
        (nn.Identity(), 1, "probabilities", "scores='probabilities', but the module gives -"),
        (torch.sigmoid, 3, "probabilities", "do not sum to 1 over the classes"),
        (nn.Identity(), 1, "odds", "scores is 'odds'; give 'logits' or 'probabilities'"),
    ],
)
def test_the_kind_that_the_caller_states_is_checked(
    step: Step, scores: int, stated: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Model.of_module(Ending(step, scores=scores), ndim=2, scores=stated)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("squashed", "plain", "scores"),
    [(torch.sigmoid, nn.Identity(), 1), (nn.Softmax(dim=1), nn.Identity(), 3)],
)
def test_the_mean_of_turns_is_the_same_from_probabilities_and_from_logits(
    squashed: Step, plain: Step, scores: int, tile: np.ndarray
) -> None:
    results = [
        Predictor(turned(Model.of_module(Ending(step, scores=scores), ndim=2)), GREY).predict(
            tile, WHOLE, probabilities=True
        )
        for step in (squashed, plain)
    ]
    assert results[0].probabilities is not None
    assert results[1].probabilities is not None
    assert np.abs(results[0].probabilities.astype(int) - results[1].probabilities).max() <= 1
    assert (results[0].labels != results[1].labels).mean() < 0.01


def test_probabilities_and_logits_of_the_same_module_have_other_digests() -> None:
    module = Ending(lambda x: x.clamp(0, 1), scores=1)
    kinds = ("logits", "probabilities")
    models = [Model.of_module(module, ndim=2, scores=kind) for kind in kinds]  # type: ignore[arg-type]
    assert models[0].digest != models[1].digest


def test_a_module_that_overwrites_its_input_is_averaged_correctly(tile: np.ndarray) -> None:
    class Centred(nn.Module):
        def __init__(self, in_place: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.in_place, self.conv = in_place, nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x.sub_(0.5) if self.in_place else x - 0.5)

    results = [
        Predictor(turned(Model.of_module(Centred(in_place), ndim=2)), GREY).scores(tile)
        for in_place in (True, False)
    ]
    assert len(TURNS) == 8
    assert torch.equal(results[0], results[1])


def test_a_turned_model_keeps_the_kind_of_its_scores() -> None:
    model = Model.of_module(Ending(torch.sigmoid, scores=1), ndim=2)
    assert turned(model).scores == "probabilities"
    assert replace(model, path="elsewhere").scores == "probabilities"
