"""What most people run: overlapping windows of a zero-padded network, with Gaussian weights.

The result is not exact: it depends on the size of the windows and on where they lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import zarr
from same import Same
from torch import Tensor, nn

from bigunet import UNet
from bigunet.geometry import round_up

# As in nnU-Net and MONAI: half of each window overlaps the next, and sigma is an eighth of it.
OVERLAP, SIGMA = 0.5, 1 / 8


class Padded(nn.Module):
    """A U-Net whose convolutions are padded with zeros, so that it returns what it reads.

    It has the weights of the network, and leaves that network as it is. Each axis must be a
    multiple of the network's stride.
    """

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = UNet(network.config).eval()
        self.network.load_state_dict(network.state_dict())
        for layer in self.network.modules():
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                layer.padding = tuple(n // 2 for n in layer.kernel_size)  # type: ignore[assignment]

    def forward(self, image: Tensor) -> Tensor:
        """Scores, (n, class, *space), fp32, for grey values (n, c, *space) from 0 to 1."""
        net, skips = self.network, []
        x = image
        for block in net.encoder[:-1]:
            x = block(x)
            skips.append(x)
            x = net.pool(x)
        x = net.encoder[-1](x)
        for up, block in zip(reversed(net.up), reversed(net.decoder)):
            x = block(torch.cat((skips.pop(), up(x)), dim=1))
        scores: Tensor = net.head(x)
        return scores.float()


def starts(extent: int, window: int) -> list[int]:
    """Where the windows begin along an axis: half a window apart, and the last ends at the end.

    >>> starts(20, 8)
    [0, 4, 8, 12]
    >>> starts(21, 8)
    [0, 4, 8, 12, 13]
    """
    step = max(1, int(window * (1 - OVERLAP)))
    return sorted({*range(0, extent - window, step), extent - window})


def boxes(shape: Sequence[int], window: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """All windows of an image that is at least as large as a window."""
    for corner in itertools.product(*(starts(n, w) for n, w in zip(shape, window))):
        yield tuple(slice(a, a + w) for a, w in zip(corner, window))


def gaussian(window: Sequence[int]) -> Tensor:
    """The weight of each voxel of a window; none is zero."""
    weights = torch.ones(())
    for n in window:
        x = (torch.arange(n) - (n - 1) / 2) / (n * SIGMA)
        weights = weights[..., None] * torch.exp(-0.5 * x**2)
    return weights.clamp(min=float(weights.max()) * 1e-3)


def blended_labels(
    pixels: Tensor, network: nn.Module, window: Sequence[int], *, classes: int
) -> Tensor:
    """Labels, uint8, (*space), of grey values (*space) from 0 to 255 in memory.

    The sums of the scores lie on the device of the pixels, as in nnU-Net and MONAI.
    """
    weights = gaussian(window).to(pixels.device)
    sums = torch.zeros((classes, *pixels.shape), device=pixels.device)
    for box in boxes(pixels.shape, window):
        part = (pixels[box].float() / 255)[None, None]
        sums[(slice(None), *box)] += network(part)[0] * weights
    return sums.argmax(dim=0).to(torch.uint8)


def window() -> Callable[..., None]:
    """Windows that overlap by half, with Gaussian weights, in a loop of our own; not exact."""

    def run(image: zarr.Array, network: Same, output: zarr.Array, tile: int) -> None:
        pixels, inner, padded, size = _windowed(image, network, tile)
        with network.computing():
            labels = blended_labels(
                pixels.to(network.device), padded, size, classes=network.out_channels
            )
        output[:] = labels.cpu().numpy()[inner]

    return run


def monai_window() -> Callable[..., None]:
    """The same windows through MONAI, with its weights; not exact."""
    from monai.inferers import SlidingWindowInferer

    def run(image: zarr.Array, network: Same, output: zarr.Array, tile: int) -> None:
        pixels, inner, padded, size = _windowed(image, network, tile)
        infer = SlidingWindowInferer(
            size, 1, OVERLAP, mode="gaussian", sigma_scale=SIGMA, sw_device=network.device
        )
        with network.computing():
            scores = infer(pixels.float()[None, None] / 255, padded)
        output[:] = scores[0].argmax(dim=0).to(torch.uint8).cpu().numpy()[inner]

    return run


def margins(
    shape: Sequence[int], window: Sequence[int], *, border: int, stride: int
) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis.

    The image then has whole strides and holds a window, and poolings fall on the same voxels as in
    one pass. That pass begins one border before the image. Its two valid convolutions before each
    pooling move the poolings by 2, 4, 8 ... voxels, together by 2 less than a multiple of strides.
    """
    first = (border + 2) % stride
    return [(first, round_up(max(w, n + first), stride) - n - first) for n, w in zip(shape, window)]


def _windowed(
    image: zarr.Array, network: Same, tile: int
) -> tuple[torch.Tensor, tuple[slice, ...], Padded, tuple[int, ...]]:
    """The mirrored image in memory, where the image lies in it, the padded network, the window."""
    # Half a window is a multiple of the stride, too.
    size = (round_up(tile, 2 * network.stride),) * network.ndim
    border, stride = network.field.border[0], network.stride
    added = margins(image.shape, size, border=border, stride=stride)
    pixels = torch.from_numpy(np.pad(image[:], added, mode="reflect"))
    inner = tuple(slice(a, a + n) for (a, _), n in zip(added, image.shape))
    padded = Padded(network.module)
    padded.to(network.device, memory_format=network.layout)  # type: ignore[call-overload]
    return pixels, inner, padded, size
