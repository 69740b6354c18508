"""Laws of the choice of layers: measured, never outside of what fp32 promises, no slower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bigunet import Model, load_model
from bigunet.model.inference import layer_choice
from bigunet.model.inference.convolution import replaceable
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.layer_choice import chosen_convolution, faster_layers
from bigunet.options.convolution_kind import named_layers, of_layers


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, write_model: Any) -> Model:
    path = tmp_path_factory.mktemp("models") / "m.safetensors"
    return load_model(write_model(path, width=16, depth=1))


def choice_of(model: Model, change: float = 0.0) -> str:
    """The choice, where Winograd's scores are changed by a share of their deviation."""

    def predictor_of(convolution: str) -> Predictor:
        predictor = Predictor(model, GreyRange((0.0,), (255.0,)), convolution=convolution)
        if predictor.winograd:
            scores_of = predictor.scores

            def changed(tile: np.ndarray) -> torch.Tensor:
                scores = scores_of(tile).clone()
                scores[0, 0, 0] += change * scores.std()
                return scores

            predictor.scores = changed  # type: ignore[method-assign]
        return predictor

    shape = model.receptive_field.input_shape((20, 20))
    tile = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
    return chosen_convolution(model, predictor_of, tile, shape, threads=1)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds of Winograd's method and of torch, for layers and for the network."""
    told = {"layer": 1.0, "network": 1.0}

    def seconds(*calls: Any) -> list[float]:
        for call in calls:
            call()
        is_layer = "_gain" in calls[0].__qualname__
        return [told["layer" if is_layer else "network"], 2.0]

    monkeypatch.setattr(layer_choice, "_seconds", seconds)
    return told


def test_layers_that_are_faster_are_chosen(model: Model, times: dict[str, float]) -> None:
    layers = tuple(replaceable(model.module))
    assert "encoder.0.0" not in layers, "it has one channel"
    assert choice_of(model) == of_layers(layers)
    assert named_layers(choice_of(model)) == layers


@pytest.mark.parametrize(("what", "seconds"), [("layer", 1.95), ("network", 1.99)])
def test_what_is_hardly_faster_is_not_chosen(
    model: Model, times: dict[str, float], what: str, seconds: float
) -> None:
    times[what] = seconds
    assert choice_of(model) == "direct"


@pytest.mark.parametrize(("change", "direct"), [(1e-5, False), (6e-5, True), (np.nan, True)])
def test_scores_that_differ_too_much_are_not_chosen(
    model: Model, times: dict[str, float], change: float, direct: bool
) -> None:
    assert (choice_of(model, change) == "direct") == direct


def test_only_layers_of_the_network_are_measured(model: Model) -> None:
    shape = model.receptive_field.input_shape((20, 20))
    assert set(faster_layers(model, shape, threads=1)) <= set(replaceable(model.module))
