"""The pixel classifier of Cireşan et al. 2012, which classifies each pixel from a window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bigunet.errors import ModelError, OptionError
from bigunet.model.brief import brief
from bigunet.model.networks.network import Network, check_numbers, less
from bigunet.receptive import Layer, ReceptiveField

MAX_DEPTH = 6
# Numbers of the paper's largest network: width of its last stage's maps, and widths of kernels.
_LAST_MAP = 3
_KERNEL, _SECOND_KERNEL = 4, 5


@dataclass(frozen=True, slots=True)
class SlidingWindowConfig:
    """The numbers of a sliding-window classifier; the defaults are those of the paper's N4.

    Parameters
    ----------
    ndim : {2}
        Number of spatial axes.
    in_channels, classes : int
        Number of channels of the input, and number of scores per pixel.
    width : int
        Number of maps of every stage.
    depth : int
        Number of stages, 1 to 6; each is a convolution and a pooling. It determines the window:
        95² pixels for 4 stages.
    hidden : int
        Number of units of the fully connected layer before the scores.
    dropout : float
        Share of those units that training drops; the paper drops none.

    Raises
    ------
    ModelError
        If a number is out of its range.
    """

    ndim: int = 2
    in_channels: int = 1
    classes: int = 2
    width: int = 48
    depth: int = 4
    hidden: int = 200
    dropout: float = 0.0

    def __post_init__(self) -> None:
        atleast = {"in_channels": 1, "classes": 1, "width": 1, "hidden": 1}
        check_numbers(self, "a sliding window", axes=(2,), atleast=atleast, depth=MAX_DEPTH)

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> SlidingWindowConfig:
        """The configuration written by :meth:`to_dict`."""
        try:
            return cls(**numbers)
        except TypeError as error:
            raise ModelError(
                f"not the numbers of a sliding window: {brief(numbers)} ({error})"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def activations(self, shape: Sequence[int]) -> int:
        """Number of values that a forward pass holds at its peak.

        The peak is at the end, because no map gets smaller: the last maps and the units of the
        fully connected layer.
        """
        return (2 * self.width + self.hidden) * math.prod(shape)

    @property
    def kernels(self) -> tuple[int, ...]:
        """Width of the kernel of each stage's convolution."""
        others = (_SECOND_KERNEL, *(_KERNEL,) * self.depth)
        return (_KERNEL, *others[: self.depth - 1])

    @property
    def window(self) -> int:
        """Width in pixels of the window around a classified pixel; an odd number.

        >>> SlidingWindowConfig(depth=4).window
        95
        """
        size = _LAST_MAP
        for kernel in reversed(self.kernels):
            size = 2 * size + kernel - 1
        return size

    def receptive_field(self) -> ReceptiveField:
        """The receptive field of the dense form: stride 1, half the window as border and halo.

        >>> SlidingWindowConfig(depth=4).receptive_field().halo
        (47, 47)
        """
        chain = []
        for stage, kernel in enumerate(self.kernels):
            # Neighbouring taps of stage k lie 2^k pixels apart.
            chain += [Layer("conv", 2**stage * (kernel - 1) + 1), Layer("conv", 2**stage + 1)]
        chain.append(Layer("conv", 2**self.depth * (_LAST_MAP - 1) + 1))
        return ReceptiveField.of_chain(chain, ndim=self.ndim)

    def flops(self, shape: Sequence[int]) -> int:
        """Number of operations of one forward pass on an input of ``shape``.

        A multiplication and an addition count as two.
        """
        total: int = 0
        inputs = self.in_channels
        for stage, kernel in enumerate(self.kernels):
            shape = less(shape, 2**stage * (kernel - 1))
            total += 2 * math.prod(shape) * kernel**self.ndim * inputs * self.width
            shape, inputs = less(shape, 2**stage), self.width
        shape = less(shape, 2**self.depth * (_LAST_MAP - 1))
        total += 2 * math.prod(shape) * _LAST_MAP**self.ndim * self.width * self.hidden
        return total + 2 * math.prod(shape) * self.hidden * self.classes


class SpacedConv(nn.Conv2d):
    """A valid convolution that can set its taps apart, with the same weights."""

    def forward(self, input: Tensor, spacing: int = 1) -> Tensor:
        """The convolution with neighbouring taps ``spacing`` pixels apart."""
        weight = self.weight
        if spacing > 1 and torch.is_grad_enabled():
            # In bf16 and with channels last, the gradient of many filters with wide spacing crashes
            # the process with a segmentation fault (torch 2.13 on a CPU with AVX512-BF16).
            input, weight = input.contiguous(), weight.contiguous()
        return functional.conv2d(input, weight, self.bias, dilation=spacing)


class SlidingWindow(Network):
    """Stages of convolution and max pooling, then a fully connected layer, on a window per pixel.

    The scores of all pixels are computed at once, in the dense form: every pooling keeps the
    maximum of each pixel instead of every second one, and later layers read pixels that lie twice
    as far apart. Each pixel has the scores of its window (:meth:`score_windows`,
    :func:`classify_windows`), but the overlaps of windows are computed only once.

    Stages, kernels and window are those of the paper's network N4, which has the largest window.
    Other than in the paper, windows are neither foveated nor sampled non-uniformly, several
    networks are not averaged, and units are rectified.

    Parameters
    ----------
    config : SlidingWindowConfig

    References
    ----------
    Cireşan, Giusti, Gambardella, Schmidhuber: Deep Neural Networks Segment Neuronal Membranes in
    Electron Microscopy Images, NIPS 2012. The dense form: Giusti et al., Fast Image Scanning with
    Deep Max-Pooling Convolutional Neural Networks, ICIP 2013, doi:10.1109/ICIP.2013.6738831.
    """

    config: SlidingWindowConfig

    def __init__(self, config: SlidingWindowConfig) -> None:
        super().__init__()
        self.config = config
        inputs = (config.in_channels, *(config.width,) * (config.depth - 1))
        self.stages = nn.ModuleList(
            SpacedConv(channels, config.width, kernel)
            for channels, kernel in zip(inputs, config.kernels)
        )
        self.hidden = SpacedConv(config.width, config.hidden, _LAST_MAP)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Conv2d(config.hidden, config.classes, 1)
        self._field = config.receptive_field()

    def forward(self, image: Tensor) -> Tensor:
        """Scores before the softmax, (n, classes, *input - 2·border), for (n, c, y, x).

        Raises
        ------
        ModelError
            If the input is smaller than a window.
        """
        self._field.check_input(image.shape[2:])
        x, spacing = image, 1
        # The alternative, maps split into fragments of adjacent pixels, was not faster on a CPU.
        for conv in self.stages:
            x = functional.max_pool2d(conv(x, spacing), 2, stride=1, dilation=spacing).relu_()
            spacing *= 2
        scores: Tensor = self.head(self.dropout(self.hidden(x, spacing).relu_()))
        return scores

    def score_windows(self, windows: Tensor) -> Tensor:
        """Scores before the softmax, (n, classes), of windows (n, c, window, window).

        Raises
        ------
        ModelError
            If the windows have another size.
        """
        size = self.config.window
        if tuple(windows.shape[2:]) != (size, size):
            raise ModelError(
                f"windows of {tuple(windows.shape[2:])} for a network of {(size, size)}"
            )
        x = windows
        for conv in self.stages:
            x = functional.max_pool2d(conv(x), 2).relu_()
        scores: Tensor = self.head(self.dropout(self.hidden(x).relu_()))
        return scores.flatten(1)


def classify_windows(module: SlidingWindow, image: Tensor, *, batch: int = 16) -> Tensor:
    """Scores of an image computed window by window, as in 2012.

    They equal ``module(image)`` up to rounding, and take 550 times the operations with the paper's
    window. The function is for comparisons; nothing in bigunet needs it.

    Parameters
    ----------
    module : SlidingWindow
        In evaluation mode.
    image : Tensor, (n, channel, y, x)
    batch : int
        Number of windows to compute together. On a CPU, 16 took half as long as 64, which do not
        fit its caches.

    Returns
    -------
    Tensor, (n, class, *input - 2·border)

    Raises
    ------
    ModelError
        If the image is smaller than a window.
    OptionError
        If ``batch`` is below 1.
    """
    if batch < 1:
        raise OptionError(f"batch is {batch}; give at least 1")
    config = module.config
    config.receptive_field().check_input(image.shape[2:])
    windows = image.unfold(2, config.window, 1).unfold(3, config.window, 1)
    windows = windows.permute(0, 2, 3, 1, 4, 5)  # (n, y, x, c, window, window), a view
    inner = windows.shape[:3]
    with torch.inference_mode():
        numbers = torch.arange(math.prod(inner), device=image.device)
        scores = []
        for start in range(0, len(numbers), batch):
            at = torch.unravel_index(numbers[start : start + batch], inner)
            scores.append(module.score_windows(windows[at]))
        return torch.cat(scores).reshape(*inner, config.classes).permute(0, 3, 1, 2)
