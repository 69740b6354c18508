"""Laws of every network: its arithmetic agrees with torch, and it survives a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bigunet.errors import ModelError
from bigunet.model.description import ModelDescription, default_classes
from bigunet.model.files.model_file import load_model, save_model
from bigunet.model.inference.flops import flop_counter
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.networks.architectures import (
    architecture_names,
    architecture_of,
    build,
    config_class,
)
from bigunet.model.networks.fcn import FCN, FCNConfig
from bigunet.model.networks.network import Network, NetworkConfig
from bigunet.model.networks.sliding_window import SlidingWindow, SlidingWindowConfig
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.model.probing.probe import Probed, probe
from bigunet.options.choices import NetworkName

SMALL = {"in_channels": st.integers(1, 3), "classes": st.integers(1, 4), "width": st.integers(1, 3)}
NORMALISED = {"batch_norm": st.booleans(), "dropout": st.sampled_from((0.0, 0.5))}
U_NETS = st.builds(
    UNetConfig, ndim=st.sampled_from((2, 3)), depth=st.integers(1, 2), **NORMALISED, **SMALL
)
FCNS = st.one_of(
    st.builds(FCNConfig, depth=st.integers(1, 3), skips=st.integers(0, 3), **NORMALISED, **SMALL),
    st.builds(FCNConfig, ndim=st.just(3), depth=st.integers(1, 2), **NORMALISED, **SMALL),
)
WINDOWS = st.builds(
    SlidingWindowConfig,
    depth=st.integers(1, 4),
    hidden=st.integers(1, 5),
    dropout=st.sampled_from((0.0, 0.5)),
    **SMALL,
)
CONFIGS = st.one_of(U_NETS, FCNS, WINDOWS)
LAW = settings(deadline=None, max_examples=20)


def shell_of(config: NetworkConfig) -> Network:
    """A network with the weights that torch draws, on the device of the context."""
    name = next(n for n in architecture_names() if config_class(n) is type(config))
    return build({"name": name, "config": config.to_dict()}).eval()


def network_of(config: NetworkConfig) -> Network:
    """A network with random weights and statistics, none of which is 0."""
    torch.manual_seed(0)
    module = shell_of(config).initialise()
    for parameter in module.parameters():
        if not parameter.detach().any():
            nn.init.normal_(parameter)
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return module


def noise(config: NetworkConfig, inner: int) -> torch.Tensor:
    shape = config.receptive_field().input_shape((inner,) * config.ndim)
    return torch.rand((1, config.in_channels, *shape))


@LAW
@given(CONFIGS)
def test_a_networks_own_name_and_numbers_build_another_like_it(config: NetworkConfig) -> None:
    module = network_of(config)
    again = build(architecture_of(module))
    assert type(again) is type(module)
    assert again.config == config == type(config).from_dict(config.to_dict())
    again.load_state_dict(module.state_dict())


@LAW
@given(CONFIGS, st.integers(1, 12))
def test_scores_have_a_channel_per_class_and_lose_the_border(
    config: NetworkConfig, inner: int
) -> None:
    field = config.receptive_field()
    size = field.input_shape((inner,) * config.ndim)
    with torch.device("meta"):
        scores = shell_of(config)(torch.empty(2, config.in_channels, *size))
    assert scores.shape == (2, config.classes, *field.scores_shape(size))
    assert min(scores.shape[2:]) >= inner
    smaller = tuple(n - s for n, s in zip(size, field.stride))
    assert max(field.scores_shape(smaller)) < inner


@LAW
@given(CONFIGS, st.integers(1, 40))
def test_the_count_of_operations_is_that_of_torch(config: NetworkConfig, inner: int) -> None:
    shape = config.receptive_field().input_shape((inner,) * config.ndim)
    with torch.device("meta"):
        module = shell_of(config)
    counted = flop_counter(nn.Sequential(module), in_channels=config.in_channels)
    assert flop_counter(module, in_channels=config.in_channels)(shape) == counted(shape)


@pytest.mark.parametrize(
    "config",
    [
        *(FCNConfig(depth=d, skips=s, width=2) for d, s in ((1, 0), (2, 0), (2, 1), (3, 2))),
        FCNConfig(ndim=3, depth=1, width=2),
        FCNConfig(depth=2, width=2, batch_norm=True),
        *(SlidingWindowConfig(depth=d, width=2, hidden=3, classes=3) for d in (1, 2, 3, 4)),
    ],
)
def test_the_probe_measures_what_the_arithmetic_gives(config: NetworkConfig) -> None:
    probed = probe(network_of(config), in_channels=1, ndim=config.ndim)
    assert probed == Probed(config.receptive_field(), config.classes, "logits")


@pytest.mark.parametrize(
    "config",
    [UNetConfig(width=2, depth=1), FCNConfig(width=2, depth=3), SlidingWindowConfig(depth=1)],
)
def test_every_input_that_is_no_valid_size_is_refused(config: NetworkConfig) -> None:
    field, module = config.receptive_field(), network_of(config)
    for size in range(2 * field.border[0] - 3, 2 * field.border[0] + 2 * field.stride[0] + 1):
        image = torch.rand(1, 1, size, size)
        if size > 2 * field.border[0] and size % field.stride[0] == field.remainder[0]:
            assert module(image).shape[2:] == field.scores_shape((size, size))
        else:
            with pytest.raises(ModelError, match="cannot pass the poolings"):
                module(image)


@settings(LAW, max_examples=10)
@given(FCNS.filter(lambda config: config.batch_norm))
def test_folded_batch_normalisation_scores_as_before_and_is_gone(config: FCNConfig) -> None:
    module, image = network_of(config), noise(config, 3)
    folded = fold_batch_norm(module)
    assert not any(isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d)) for m in folded.modules())
    with torch.inference_mode():
        before, after = module(image), folded(image)
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-4 * float(before.abs().max()))


@settings(LAW, max_examples=10)
@given(st.one_of(FCNS, WINDOWS))
def test_every_weight_is_trained(config: NetworkConfig) -> None:
    config = type(config).from_dict({**config.to_dict(), "dropout": 0.0})
    module = network_of(config).double()
    # With positive inputs and weights, no unit is always 0.
    for parameter in module.parameters():
        nn.init.uniform_(parameter, 0.01, 0.1)
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            layer.reset_running_stats()
    module(noise(config, 4).double()).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@settings(LAW, max_examples=10)
@given(st.one_of(U_NETS, FCNS, WINDOWS).filter(lambda config: config.classes > 1))
def test_a_saved_network_of_any_architecture_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory, config: NetworkConfig
) -> None:
    path = tmp_path_factory.mktemp("models") / "some.safetensors"
    module, image = network_of(config), noise(config, 2)
    description = ModelDescription(
        name="some",
        architecture=architecture_of(module),
        classes=default_classes(config.classes),
        channels=tuple(map(str, range(config.in_channels))),
    )
    save_model(path, module, description)
    model = load_model(path)
    assert model.receptive_field == config.receptive_field()
    assert model.description == description
    with torch.inference_mode():
        assert torch.equal(model.module(image), module(image))


def test_a_description_of_another_architecture_is_refused(tmp_path: Path) -> None:
    config = SlidingWindowConfig(depth=1)
    description = ModelDescription(
        "some", architecture_of(SlidingWindow(config)), default_classes(2), ("0",)
    )
    with pytest.raises(ModelError, match="the weights are not those of"):
        save_model(tmp_path / "some.safetensors", FCN(FCNConfig(width=2)), description)


def test_every_network_that_the_command_can_train_can_be_built() -> None:
    assert set(get_args(NetworkName)) == set(architecture_names())


@pytest.mark.parametrize("name", ["transformer", None, ["unet"], "UNet"])
def test_an_unknown_architecture_is_refused_with_the_known_names(name: Any) -> None:
    with pytest.raises(ModelError, match="knows: unet, fcn, sliding-window"):
        build({"name": name, "config": {}})
    with pytest.raises(ModelError, match="unknown architecture"):
        config_class(name)


class _OwnNetwork(UNet):
    """A subclass of a network; its forward method may compute anything."""


@pytest.mark.parametrize("module", [nn.Conv2d(1, 2, 3), _OwnNetwork(UNetConfig(width=1, depth=1))])
def test_the_module_of_a_caller_has_no_architecture(module: nn.Module) -> None:
    with pytest.raises(ModelError, match=rf"{type(module).__name__} is no network of bigunet's"):
        architecture_of(module)


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("fcn", {"ndim": 1}, "a fully convolutional network here has 2 or 3 spatial axes"),
        ("fcn", {"depth": 9}, "depth is 9; give 1 to 8"),
        ("fcn", {"skips": -1}, "skips is -1; give at least 0"),
        ("fcn", {"skips": "all"}, "skips is 'all'; give a whole number"),
        ("fcn", {"dropout": -0.1}, "dropout is -0.1; give a share"),
        ("fcn", {"window": 9}, "not the numbers of a fully convolutional network: .*window"),
        ("fcn", [1], "not the numbers of a fully convolutional network"),
        ("sliding-window", {"ndim": 3}, "ndim is 3; a sliding window here has 2 spatial axes"),
        ("sliding-window", {"depth": 7}, "depth is 7; give 1 to 6"),
        ("sliding-window", {"hidden": 0}, "hidden is 0; give at least 1"),
        ("sliding-window", {"batch_norm": True}, "not the numbers of a sliding window"),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, numbers: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build({"name": name, "config": numbers})
