"""Convolutions that are 3 voxels wide, by Winograd's method: a quarter of the multiplications.

Planes are cut into tiles of 4 × 4 results. Numba transforms some tiles at a time, torch multiplies
them with the transformed weights, and numba transforms the products back. In 3D each plane is the
sum over three planes. The results differ from those of direct convolution by rounding alone.

References
----------
Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016,
doi:10.1109/CVPR.2016.435. Points: Barabasz et al. 2020, doi:10.1145/3412380.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

# Transformed tiles and their products should take this memory; more tiles read weights less often.
_STRIP_BYTES = 16_000_000
_MOST_TILES, _LEAST_TILES = 256, 64
_LEAST_STRIPS = 16
# Planes of a volume that one thread makes one after the other; it transforms two more.
_PLANES = 16


class Cores:
    """Threads that each compute on one core.

    Parameters
    ----------
    count : int
        Number of threads.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = threading.local()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="winograd")
        here = torch.get_num_threads()
        all_there = threading.Barrier(count)

        def begin() -> None:
            all_there.wait()
            torch.set_num_threads(1)

        for future in [self._pool.submit(begin) for _ in range(count)]:
            future.result()
        # Threads that begin later start with the number that was set last.
        torch.set_num_threads(here)

    def rows(self, count: int, size: int) -> list[Tensor]:
        """Rows of ``size`` numbers, fp32, that the calling thread may use until its next call."""
        rows: list[Tensor] = self._memory.__dict__.setdefault("rows", [])
        if len(rows) < count or len(rows[0]) < size:
            rows[:] = [torch.empty(size) for _ in range(count)]
        return rows[:count]

    def do_all(self, work: Callable[[int], None], items: Iterable[int]) -> None:
        """Call ``work`` with each item; the first error is raised when all have ended."""
        futures = [self._pool.submit(work, item) for item in items]
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error


class WinogradConv(nn.Module):
    """A convolution that gives the results of another one, up to rounding.

    Parameters
    ----------
    conv : torch.nn.Conv2d or torch.nn.Conv3d
        See :func:`can_replace`.
    cores : Cores
        The threads that compute.
    relu : bool
        Whether results below 0 become 0.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, cores: Cores, *, relu: bool) -> None:
        super().__init__()
        self._weights = transformed_weights(conv.weight)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
        self._bias = bias.float().contiguous().numpy()
        pads = cast(tuple[int, ...], conv.padding)
        # torch pads from the last axis on.
        self._pads = [n for pad in reversed(pads) for n in (pad, pad)]
        self._floor = np.full(conv.out_channels, 0.0 if relu else -np.inf, np.float32)
        self._cores = cores

    def forward(self, image: Tensor) -> Tensor:
        """Results, (n, channel, *space), fp32, channels last, of an image of the same kind."""
        if any(self._pads):
            image = functional.pad(image, self._pads)
        image = image.unsqueeze(2) if image.ndim == 4 else image
        image = image.contiguous(memory_format=torch.channels_last_3d)
        inner = (image.shape[2] - len(self._weights) + 1, image.shape[3] - 2, image.shape[4] - 2)
        result = torch.empty(
            (len(image), len(self._bias), *inner), memory_format=torch.channels_last_3d
        )
        for one, out in zip(_lines(image), _lines(result), strict=True):
            self._fill(one, out)
        return result.squeeze(2) if len(self._weights) == 1 else result

    def _fill(self, image: np.ndarray, result: np.ndarray) -> None:
        """Compute the results (z, y, x * channel) of one image (z, y, x * channel)."""
        planes, height, width = result.shape
        columns = -(-(width // len(self._bias)) // 4)
        total = columns * -(-height // 4)
        tiles = self._tiles(total)
        strips = range(0, total, tiles)
        spans = range(0, planes, _PLANES)

        def work(item: int) -> None:
            first, z = strips[item % len(strips)], spans[item // len(strips)]
            strip = (first, min(tiles, total - first), columns)
            with torch.inference_mode():
                self._strip(image, result, range(z, min(z + _PLANES, planes)), strip, tiles)

        self._cores.do_all(work, range(len(strips) * len(spans)))

    def _tiles(self, total: int) -> int:
        """Tiles of a strip; they do not depend on the number of cores, as rounding may on them."""
        fitting = _STRIP_BYTES // (36 * 4 * sum(self._weights[0].shape[1:]))
        return max(_LEAST_TILES, min(fitting, _MOST_TILES, total // _LEAST_STRIPS))

    def _strip(
        self,
        image: np.ndarray,
        result: np.ndarray,
        planes: range,
        strip: tuple[int, int, int],
        tiles: int,
    ) -> None:
        """Compute a strip of tiles (first, count, columns) of some planes."""
        from bigunet.model.inference.winograd_kernels import transform_inputs, transform_outputs

        first, count, columns = strip
        inputs, outputs = self._weights[0].shape[1:]
        depth = len(self._weights)
        ring, products = self._room(tiles, count, inputs, outputs)
        for z in range(planes.start, planes.stop + depth - 1):
            lines = ring[z % depth].view(36, count * inputs).numpy()
            transform_inputs(image[z], lines, first, count, columns, inputs)
            if (done := z - depth + 1) < planes.start:
                continue
            torch.bmm(ring[done % depth], self._weights[0], out=products)
            for k in range(1, depth):
                torch.baddbmm(products, ring[(done + k) % depth], self._weights[k], out=products)
            lines = products.view(36, count * outputs).numpy()
            transform_outputs(lines, result[done], self._bias, self._floor, first, count, columns)

    def _room(
        self, tiles: int, count: int, inputs: int, outputs: int
    ) -> tuple[list[Tensor], Tensor]:
        """This thread's memory for transformed tiles of each plane of the sum, and for products."""
        depth = len(self._weights)
        needed = 36 * tiles * max(inputs, outputs)
        *ring, products = self._cores.rows(depth + 1, needed)
        return (
            [row[: 36 * count * inputs].view(36, count, inputs) for row in ring],
            products[: 36 * count * outputs].view(36, count, outputs),
        )


def _lines(images: Tensor) -> np.ndarray:
    """The lines of images that are channels last: (n, z, y, x * channel), as a view."""
    n, channels, depth, height, width = images.shape
    rows = images.permute(0, 2, 3, 4, 1).reshape(n, depth, height, width * channels)
    assert rows.data_ptr() == images.data_ptr()
    return rows.numpy()


def transformed_weights(weight: Tensor) -> list[Tensor]:
    """The weights of each plane of a kernel, (36, inputs, outputs), fp32.

    Parameters
    ----------
    weight : Tensor, (outputs, inputs, 3, 3) or (outputs, inputs, 3, 3, 3)
    """
    from bigunet.model.inference.winograd_kernels import weight_transform

    matrix = torch.from_numpy(weight_transform())
    planes = weight.detach().double()
    planes = planes.unsqueeze(2) if planes.ndim == 4 else planes
    outputs, inputs = planes.shape[:2]
    return [
        torch.einsum("ia,kcab,jb->ijck", matrix, plane, matrix)
        .reshape(36, inputs, outputs)
        .float()
        .contiguous()
        for plane in planes.unbind(2)
    ]


def can_replace(conv: nn.Module) -> bool:
    """Whether a module is a convolution that Winograd's method computes.

    It is torch's own layer, 3 voxels wide along each axis, with 8 channels and more, a stride and
    dilation of 1, one group, and no padding or padding with zeros.
    """
    if type(conv) not in (nn.Conv2d, nn.Conv3d):
        return False
    assert isinstance(conv, (nn.Conv2d, nn.Conv3d))
    return (
        set(conv.kernel_size) == {3}
        and min(conv.in_channels, conv.out_channels) >= 8
        and {*conv.stride, *conv.dilation, conv.groups} == {1}
        and not isinstance(conv.padding, str)
        and (conv.padding_mode == "zeros" or not any(conv.padding))
    )
