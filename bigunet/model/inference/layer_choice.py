"""Measures on this machine which layers Winograd's method computes faster, and whether it may."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from bigunet.model.inference.convolution import replaceable
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.winograd import Cores, WinogradConv
from bigunet.model.model import Model
from bigunet.model.scripted import on_meta
from bigunet.options.convolution_kind import DIRECT, of_layers

# Half of what scores may differ by in fp32, in their standard deviation: other tiles may differ
# more than the one that is measured.
_MOST_DIFFERENCE = 5e-5
# A layer, or a network, must be at least so much faster; otherwise noise would choose.
_LAYER_GAIN, _NETWORK_GAIN = 1.05, 1.03
# Some milliseconds on a core.
_LAYER_MULTIPLICATIONS = 500_000_000
_TIMES = 3


def chosen_convolution(
    model: Model,
    predictor_of: Callable[[str], Predictor],
    tile: np.ndarray,
    shape: Sequence[int],
    *,
    threads: int,
) -> str:
    """The choice of convolutions that is fastest here, and gives the scores of fp32.

    Parameters
    ----------
    model : Model
    predictor_of : callable
        Gives the predictor of a choice.
    tile : ndarray, (channel, *space)
        Grey values of the image, on which scores are compared and passes measured.
    shape : sequence of int
        Spatial shape of the input of the run's tiles, for which layers are measured.
    threads : int
        Number of cores for one pass.
    """
    direct = predictor_of(DIRECT)
    if direct.device.type != "cpu":
        return DIRECT
    layers = faster_layers(model, shape, threads=threads)
    if not layers:
        return DIRECT
    choice = of_layers(layers)
    ours = predictor_of(choice)
    # Whoever compares also compiles: what follows measures passes alone.
    if not _agree(ours.scores(tile), direct.scores(tile)):
        return DIRECT
    ours_seconds, direct_seconds = _seconds(lambda: ours.scores(tile), lambda: direct.scores(tile))
    return choice if ours_seconds * _NETWORK_GAIN < direct_seconds else DIRECT


def faster_layers(model: Model, shape: Sequence[int], *, threads: int) -> tuple[str, ...]:
    """The layers that Winograd's method computes faster than torch does, for inputs of a shape."""
    module = fold_batch_norm(model.module)
    layers = replaceable(module)
    shapes = _layer_shapes(module, tuple(layers), (1, model.in_channels, *shape))
    cores = Cores(threads)
    gains: dict[tuple[int, ...], float] = {}
    with torch.inference_mode():
        for name, seen in shapes.items():
            conv = layers[name]
            key = (conv.in_channels, conv.out_channels, *seen)
            if key not in gains:
                gains[key] = _gain(conv, seen, cores)
    return tuple(
        name
        for name, seen in shapes.items()
        if gains[(layers[name].in_channels, layers[name].out_channels, *seen)] > _LAYER_GAIN
    )


def _layer_shapes(
    module: nn.Module, names: Sequence[str], shape: Sequence[int]
) -> Mapping[str, tuple[int, ...]]:
    """The spatial shape that each layer sees, from a pass without values."""
    shadow = on_meta(module).eval()
    seen: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name] = tuple(inputs[0].shape[2:])

        shadow.get_submodule(name).register_forward_pre_hook(hook)

    for name in names:
        watch(name)
    with torch.inference_mode():
        shadow(torch.empty(tuple(shape), device="meta"))
    return seen


def _gain(conv: nn.Conv2d | nn.Conv3d, shape: tuple[int, ...], cores: Cores) -> float:
    """How many times as fast as torch Winograd's method is, with the ReLU that follows."""
    layout = torch.channels_last if len(shape) == 2 else torch.channels_last_3d
    direct = conv.to(memory_format=layout)  # type: ignore[call-overload]
    ours = WinogradConv(conv, cores, relu=True)
    per_voxel = conv.weight.numel()
    rows = max(7, _LAYER_MULTIPLICATIONS // (per_voxel * int(np.prod(shape[1:]))))
    seen = (1, conv.in_channels, min(rows, shape[0]), *shape[1:])
    random = torch.Generator().manual_seed(0)
    image = torch.rand(seen, generator=random).contiguous(memory_format=layout)
    ours(image)
    ours_seconds, direct_seconds = _seconds(lambda: ours(image), lambda: torch.relu_(direct(image)))
    return direct_seconds / ours_seconds


def _agree(scores: Tensor, expected: Tensor) -> bool:
    largest = float((scores - expected).abs().max())
    return largest <= _MOST_DIFFERENCE * float(expected.std())


def _seconds(*calls: Callable[[], object]) -> list[float]:
    """The least time of each call; they take turns, so that other work slows all of them."""
    best = [float("inf")] * len(calls)
    for _ in range(_TIMES):
        for number, call in enumerate(calls):
            begun = time.perf_counter()
            call()
            best[number] = min(best[number], time.perf_counter() - begun)
    return best
