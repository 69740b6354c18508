"""From the scores of a package's network to those that bigunet compares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.model import Model
from bigunet.model.packages.postprocessing import OutputRule


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


def scored(
    network: nn.Module, rule: OutputRule, width: int, *, ndim: int, channels: Sequence[str]
) -> Model:
    """The model of a network under a rule.

    Parameters
    ----------
    network : torch.nn.Module
    rule : OutputRule
    width : int
        Number of scores per voxel that the package states.
    ndim : int
    channels : sequence of str
        Channels of the image; empty for one without a name.

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
    is_cut = rule.threshold is not None
    rule = rule if several else rule.shifted()
    if (rule.gain, rule.offset) != (1.0, 0.0):
        network = Shifted(network, rule.gain, rule.offset)
    known = tuple(channels) or ("0",)
    if rule.activation == "none" and not is_cut:
        model = _measured(network, several=several, ndim=ndim, channels=known)
    else:
        model = Model.of_module(network, ndim=ndim, channels=known, scores="logits")
        if several and rule.activation != "softmax":
            model = _with_background(model, sigmoid=rule.activation == "sigmoid")
    _check_width(model, width)
    return model


def _measured(network: nn.Module, *, several: bool, ndim: int, channels: Sequence[str]) -> Model:
    """The model of a network without an activation after it: its scores are measured."""
    try:
        return Model.of_module(network, ndim=ndim, channels=channels)
    except ModelError:
        if not several:
            raise
        model = Model.of_module(network, ndim=ndim, channels=channels, scores="logits")
        noise = torch.rand(1, len(channels), *_smallest(model)) * 1000 - 500
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
    return field.input_shape(field.stride)
