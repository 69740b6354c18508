"""Small networks of many kinds, built and probed once; and some that are refused."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import nn

from bigunet import Model

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
# Voxel sizes that networks were trained at, by their numbers of scores.
SIZES = {1: (0.5, 0.5, 0.5), 2: (1e-3, 1e3, 1e3), 3: (2.0, 0.5, 0.5), 4: (1.0, 1.0, 1.0)}
NAMES = {1: ("0",), 2: ("DAPI", "GFP"), 3: ("a", "b", "c")}


class Net(nn.Sequential):
    """Layers with weights with which all classes appear."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        generator = torch.Generator().manual_seed(7)
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)


def _stack(ndim: int, channels: int, scores: int, *, padding: int, stride: int) -> list[nn.Module]:
    conv = CONV[ndim]
    layers = [conv(channels, 4, 3, padding=padding), nn.LeakyReLU(0.3)]
    if stride > 1:
        layers += [POOL[ndim](stride), nn.Upsample(scale_factor=float(stride))]
    return [*layers, conv(4, scores, 3, padding=padding)]


def valid(ndim: int, channels: int, scores: int, end: str, padding: int, stride: int) -> Model:
    """A network that bigunet runs; ``end`` is "", "sigmoid" or "softmax"."""
    layers = _stack(ndim, channels, scores, padding=padding, stride=stride)
    if end:
        layers.append(nn.Sigmoid() if end == "sigmoid" else nn.Softmax(dim=1))
    return Model.of_module(
        Net(*layers), ndim=ndim, channels=NAMES[channels], voxel_size_um=SIZES[scores][-ndim:]
    )


@functools.cache
def model(kind: tuple[int, int, int, str, int, int]) -> Model:
    """The network of a kind."""
    return valid(*kind)


# Each is (spatial axes, channels, scores, end, padding, stride).
KINDS: tuple[tuple[int, int, int, str, int, int], ...] = (
    (2, 1, 1, "", 0, 1),
    (2, 1, 3, "", 1, 1),
    (2, 1, 2, "", 1, 2),
    (2, 1, 1, "sigmoid", 1, 1),
    (2, 2, 4, "softmax", 0, 1),
    (2, 3, 2, "", 1, 3),
    (3, 1, 2, "", 1, 1),
    (3, 2, 3, "softmax", 1, 2),
)


class Returns(nn.Module):
    """A network that returns changed scores."""

    def __init__(self, change: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3, padding=1)
        self.change = change

    def forward(self, image: torch.Tensor) -> object:
        return self.change(self.layer(image))


def _broken() -> nn.Module:
    layer = nn.Conv2d(1, 2, 3)
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = torch.nan
    return layer


REFUSED: dict[str, Callable[[], object]] = {
    "instance norm": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4)),
    "group norm": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4)),
    "global pooling": lambda: Returns(lambda s: s - s.mean(dim=(2, 3), keepdim=True)),
    "wrong ndim": lambda: nn.Conv3d(1, 2, 3),
    "wrong channels": lambda: nn.Conv2d(3, 2, 3),
    "a tuple": lambda: Returns(lambda s: (s, s)),
    "a dict": lambda: Returns(lambda s: {"out": s}),
    "None": lambda: Returns(lambda s: None),
    "argmax": lambda: Returns(lambda s: s.argmax(dim=1, keepdim=True)),
    "no class axis": lambda: Returns(lambda s: s[:, 0]),
    "NaN weights": _broken,
    "random": lambda: Returns(lambda s: s + torch.rand_like(s)),
    "coarser": lambda: nn.Conv2d(1, 2, 2, stride=2),
    "sigmoid for each": lambda: Returns(torch.sigmoid),
    "softmax over x": lambda: Returns(lambda s: s.softmax(dim=-1)),
    "a state_dict": lambda: nn.Conv2d(1, 2, 3).state_dict(),
    "a class": lambda: nn.Conv2d,
    "a path": lambda: "model.pt",
    "cumulative": lambda: Returns(lambda s: s.cumsum(dim=-1)),
    "places": lambda: Returns(lambda s: s + torch.arange(s.shape[-1], dtype=s.dtype)),
    "raises": lambda: Returns(lambda s: 1 / 0),
}
