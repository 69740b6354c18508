r"""A U-Net that is swept along the first axis of a tile, so that a long tile takes little memory.

The image comes slab by slab. Each convolution keeps the last two planes of its input, and each
skip connection keeps its planes until the expanding path reaches them::

    planes of the image -> conv conv ------- skip waits -------> join conv conv -> planes of scores
                                    \-> pool -> level below -> up -/

All planes have the values of a pass over the whole tile, because the convolutions are valid, and
no plane is computed twice. ``bigunet.model.inference.sweep_plan`` reckons the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from bigunet.errors import OptionError
from bigunet.model.inference.folding import is_altered
from bigunet.model.inference.sweep_lines import Kind, Line, Pooling, Skip
from bigunet.model.inference.sweep_plan import LevelPlanes, level_planes
from bigunet.model.networks.unet import UNet, skip_crops
from bigunet.options.choices import BackendChoice
from bigunet.options.convolution_kind import is_winograd

Convolution = nn.Conv2d | nn.Conv3d


def can_sweep(module: nn.Module) -> bool:
    """Whether a module is a U-Net of bigunet's with the layers of its configuration, unchanged."""
    if type(module) is not UNet or any(map(is_altered, module.modules())):
        return False
    with torch.device("meta"):
        return repr(module) == repr(UNet(module.config))


def check_can_sweep(
    module: nn.Module, backend: BackendChoice = "auto", convolution: str = "direct"
) -> None:
    """Raise OptionError unless torch may sweep the module, with direct convolutions."""
    if not can_sweep(module):
        raise OptionError(
            "--slab is for bigunet's own U-Nets, without --tta and --blend; leave it out"
        )
    if backend not in ("auto", "torch"):
        raise OptionError(f"--slab is computed by torch, not by {backend}: leave one of them out")
    if is_winograd(convolution):
        raise OptionError("--slab and --convolution winograd: give one of them")


class Sweep:
    """A U-Net that is ready to be swept.

    Parameters
    ----------
    network : UNet
        In evaluation mode, on its device, with batch normalisations folded; it is changed.
    slab : int
        Planes of the image that one step takes.
    dtype : torch.dtype
        Type of weights and activations.
    layout : torch.memory_format
    """

    def __init__(
        self, network: UNet, slab: int, *, dtype: torch.dtype, layout: torch.memory_format
    ) -> None:
        self._network = network.to(dtype=dtype)
        self._slab = slab
        self._kind = Kind(dtype, network.head.weight.device, layout)

    def slabs(self, planes: int) -> list[slice]:
        """Which of the planes of an image each step takes."""
        starts = range(0, planes, self._slab)
        return [slice(start, min(start + self._slab, planes)) for start in starts]

    def scores(self, slabs: Iterable[Tensor], shape: Sequence[int]) -> Iterator[Tensor]:
        """Scores, (1, class, planes, *inner), of the planes that each slab completes.

        Parameters
        ----------
        slabs : iterable of Tensor, (1, channel, planes, *plane)
            Network inputs, cut as in :meth:`slabs`.
        shape : sequence of int
            Spatial shape of all slabs together: a valid size.
        """
        top = _level(self._network, shape, self._slab, self._kind)
        for slab in slabs:
            features = top.push(slab)
            if features is not None:
                yield convolved(self._network.head, features)


class _Level:
    """One level and those below it: planes of its input come in, planes of its features go out.

    The coarsest level has neither a skip connection nor a level below.
    """

    def __init__(self, scan: _Block, bridge: _Bridge | None) -> None:
        self._scan = scan
        self._bridge = bridge

    def push(self, planes: Tensor) -> Tensor | None:
        """The features that these planes of the input complete, if any."""
        self._scan.room(planes.shape[2]).copy_(planes)
        scanned = self._scan.run()
        if scanned is None or self._bridge is None:
            return None if scanned is None else scanned.relu_()
        pooled = self._bridge.leave(scanned)
        # The levels below need the memory.
        del scanned
        return None if pooled is None else self._bridge.cross(pooled)


class _Bridge:
    """The way from the contracting path to the expanding one: by the skip, and by the level below.

    Parameters
    ----------
    skip : Skip
    below : _Level
    up : torch.nn.Module
        The up-convolution.
    join : _Block
        The convolutions after it.
    """

    def __init__(self, skip: Skip, below: _Level, up: nn.Module, join: _Block) -> None:
        self._skip, self._below, self._up, self._join = skip, below, up, join
        self._pooling = Pooling()

    def leave(self, scanned: Tensor) -> Tensor | None:
        """Keep planes for the expanding path, and pool them for the level below.

        ``scanned`` comes without its ReLU, which costs less on what is kept and on what is pooled.
        """
        self._skip.push(scanned)
        pooled = self._pooling.pooled(scanned)
        return None if pooled is None else pooled.relu_()

    def cross(self, pooled: Tensor) -> Tensor | None:
        """The features that these planes of the level below complete, if any."""
        below = self._below.push(pooled)
        if below is None:
            return None
        coarse = self._up(below)
        del below
        channels = coarse.shape[1]
        room = self._join.room(coarse.shape[2])
        self._skip.pop(room[:, :channels])
        room[:, channels:] = coarse
        del coarse
        joined = self._join.run()
        return None if joined is None else joined.relu_()


class _Block:
    """Two convolutions, the first with its ReLU."""

    def __init__(self, block: nn.Module, planes: int, plane: Sequence[int], kind: Kind) -> None:
        self._first, self._second = (
            layer for layer in block.children() if isinstance(layer, (nn.Conv2d, nn.Conv3d))
        )
        inside = [n - 2 for n in plane]
        self._outer = Line(self._first.in_channels, planes, plane, kind)
        self._inner = Line(self._second.in_channels, planes, inside, kind)

    def room(self, count: int) -> Tensor:
        """Room for the next planes of the input, which the caller fills before :meth:`run`."""
        return self._outer.room(count)

    def run(self) -> Tensor | None:
        """The output of the planes that came, before the second ReLU, if they complete any."""
        first = self._outer.through(partial(convolved, self._first))
        if first is None:
            return None
        torch.clamp_min(first, 0, out=self._inner.room(first.shape[2]))
        del first
        return self._inner.through(partial(convolved, self._second))


def convolved(layer: nn.Module, planes: Tensor) -> Tensor:
    """The output of a convolution; on a CPU by oneDNN, also where torch has a slower way.

    For thin slabs in fp32, torch itself takes its own convolution, which took 5 times as long.
    """
    assert isinstance(layer, Convolution)
    by_onednn = planes.dtype in (torch.float32, torch.bfloat16) and torch._C._has_mkldnn
    if planes.device.type != "cpu" or not by_onednn:
        output: Tensor = layer(planes)
        return output
    axes = len(layer.kernel_size)
    return torch.mkldnn_convolution(
        planes, layer.weight, layer.bias, (0,) * axes, (1,) * axes, (1,) * axes, 1
    )


def _level(network: UNet, shape: Sequence[int], slab: int, kind: Kind) -> _Level:
    """The top level, with all levels below it, for an image of this shape."""
    depth = network.config.depth
    planes = level_planes(depth, shape[0], slab)
    return _level_of(network, 0, planes, shape, kind)


def _level_of(
    network: UNet, level: int, planes: Sequence[LevelPlanes], shape: Sequence[int], kind: Kind
) -> _Level:
    depth, most = network.config.depth, planes[level]
    scan = _Block(network.encoder[level], most.down, shape[1:], kind)
    if level == depth:
        return _Level(scan, None)
    inner = [n - 4 for n in shape]
    crop = skip_crops(depth)[level]
    kept = [n - 2 * crop for n in inner]
    channels = network.config.width * 2**level
    return _Level(
        scan,
        _Bridge(
            Skip(channels, most.waiting, kept, crop=crop, kind=kind),
            _level_of(network, level + 1, planes, [n // 2 for n in inner], kind),
            network.up[level],
            _Block(network.decoder[level], most.up, kept[1:], kind),
        ),
    )
