"""From the scores of a package's network to those that bigunet compares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.model import Model
from bigunet.model.packages.postprocessing import OutputRule
from bigunet.options.choices import ScoreKind


class Shifted(nn.Module):
    """``gain · scores + offset``, so that the foreground begins above 0."""

    def __init__(self, network: nn.Module, gain: float, offset: float) -> None:
        super().__init__()
        self.network, self.gain, self.offset = network, gain, offset

    def forward(self, image: Tensor) -> Tensor:
        """The scores of the network, scaled."""
        scores: Tensor = self.network(image) * self.gain + self.offset
        return scores

    def extra_repr(self) -> str:
        return f"gain={self.gain}, offset={self.offset}"


class Reordered(nn.Module):
    """The scores of a network in another order of channels."""

    def __init__(self, network: nn.Module, order: Sequence[int]) -> None:
        super().__init__()
        self.network, self.order = network, tuple(order)

    def forward(self, image: Tensor) -> Tensor:
        """The scores (n, class, *space)."""
        scores = self.network(image)
        return torch.cat([scores[:, k : k + 1] for k in self.order], dim=1)

    def extra_repr(self) -> str:
        return f"order={self.order}"


class WithBackground(nn.Module):
    """Adds the background to probabilities that do not exclude each other.

    The background's is 1 less the highest, so that it wins where no other is above 0.5.

    Parameters
    ----------
    network : torch.nn.Module
    sigmoid : bool
        Whether the network's scores are logits.
    """

    def __init__(self, network: nn.Module, *, sigmoid: bool) -> None:
        super().__init__()
        self.network, self.sigmoid = network, sigmoid

    def forward(self, image: Tensor) -> Tensor:
        """Probabilities (n, 1 + scores, *space)."""
        scores = self.network(image)
        shares = scores.float().sigmoid() if self.sigmoid else scores
        return torch.cat((1 - shares.amax(dim=1, keepdim=True), shares), dim=1)

    def extra_repr(self) -> str:
        return f"sigmoid={self.sigmoid}"


@dataclass(frozen=True, slots=True)
class Measuring:
    """How a network is measured.

    Parameters
    ----------
    ndim : int
    channels : tuple of str
    halo : tuple of int
        The halo that a caller states; empty to measure it.
    blend : bool
        Whether a network that is not exact is taken, too.
    tile_shape : tuple of int
        The one spatial shape that the package states; empty if there are more.
    """

    ndim: int = 2
    channels: tuple[str, ...] = ("0",)
    halo: tuple[int, ...] = ()
    blend: bool = False
    tile_shape: tuple[int, ...] = ()

    def model(self, network: nn.Module, scores: ScoreKind | None = None) -> Model:
        """The model of a network with these scores, or scores that are measured."""
        return Model.of_module(
            network,
            ndim=self.ndim,
            channels=self.channels,
            scores=scores,
            halo=self.halo,
            blend=self.blend,
            tile_shape=self.tile_shape,
        )


def scored(network: nn.Module, rule: OutputRule, width: int, way: Measuring) -> Model:
    """The model of a network under a rule.

    Parameters
    ----------
    network : torch.nn.Module
    rule : OutputRule
    width : int
        Number of scores per voxel that the package states.
    way : Measuring

    Raises
    ------
    ModelError
        If the network cannot be run exactly, or gives another number of scores.
    """
    several = width > 1
    if several and rule.threshold not in (None, 0.5):
        raise ModelError("its step binarize needs the threshold 0.5 for several channels")
    if not several and rule.activation == "softmax":
        raise ModelError("its step softmax over one channel is always 1")
    if not several and rule.threshold is not None:
        return _cut(network, rule, way)
    if (rule.gain, rule.offset) != (1.0, 0.0):
        network = Shifted(network, rule.gain, rule.offset)
    if rule.activation == "none" and rule.threshold is None:
        model = _measured(network, way, several=several)
    else:
        model = way.model(network, "logits")
        if several and rule.activation != "softmax":
            model = _with_background(model, sigmoid=rule.activation == "sigmoid")
    _check_width(model, width)
    return model


def _cut(network: nn.Module, rule: OutputRule, way: Measuring) -> Model:
    """The model of a network with one score, and a foreground that begins above a threshold."""
    if rule.activation == "none" and (rule.threshold, rule.gain, rule.offset) == (0.5, 1.0, 0.0):
        model = way.model(network)
        if model.scores == "probabilities":
            _check_width(model, 1)
            return model
    level = rule.shifted()
    if (level.gain, level.offset) != (1.0, 0.0):
        network = Shifted(network, level.gain, level.offset)
    model = way.model(network, "logits")
    _check_width(model, 1)
    kept = rule.activation == "sigmoid" and rule.threshold == 0.5
    return replace(model, keeps_probabilities=kept)


def _measured(network: nn.Module, way: Measuring, *, several: bool) -> Model:
    """The model of a network without an activation after it: its scores are measured."""
    try:
        return way.model(network)
    except ModelError:
        if not several:
            raise
        model = way.model(network, "logits")
        # Numbers of its own: each worker decides alike, and the caller's stay as they are.
        own = torch.Generator().manual_seed(0)
        shape = (1, model.in_channels, *_smallest(model))
        noise = torch.rand(shape, generator=own) * 1000 - 500
        with torch.inference_mode():
            scores = model.module(noise)
        if scores.min() < 0 or scores.max() > 1:
            raise
        return _with_background(model, sigmoid=False)


def _with_background(model: Model, *, sigmoid: bool) -> Model:
    digest = hashlib.sha256(f"{model.digest} with background {sigmoid}".encode()).hexdigest()
    module = WithBackground(model.module, sigmoid=sigmoid).eval()
    return replace(model, module=module, scores="probabilities", digest=digest)


def _check_width(model: Model, width: int) -> None:
    inner = model.module.network if isinstance(model.module, WithBackground) else model.module
    with torch.inference_mode():
        given = inner(torch.zeros(1, model.in_channels, *_smallest(model))).shape[1]
    if given != width:
        raise ModelError(f"its network gives {given} channels, and its output states {width}")


def _smallest(model: Model) -> tuple[int, ...]:
    field = model.receptive_field
    return model.tile_shape or field.input_shape(field.stride)
