"""Intensity percentiles of a whole image, so that normalisation is fixed before the first block.

It measures; how a model normalises is the model's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.errors import ImageError, OptionError
from bigunet.geometry import Box, ceil_div
from bigunet.io.multiscale import Multiscale
from bigunet.io.volume import VolumeReader

_SLAB_VOXELS = 2**22
"""Voxels read at once, all channels together, unless one chunk has more."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """Percentiles of an image's voxels, and where they were measured.

    Parameters
    ----------
    level : int
        The level that was read.
    sampled : bool
        Whether only a part of the level was read.
    values : tuple of tuple of float
        Per channel, the value at each quantile.
    """

    level: int
    sampled: bool
    values: tuple[tuple[float, ...], ...]


def percentiles(
    image: Multiscale,
    quantiles: Sequence[float],
    *,
    channels: Sequence[int],
    max_voxels: int = 2**24,
) -> Intensity:
    """Measure percentiles of each channel over all time points and planes.

    Exact for the largest level of at most ``max_voxels`` voxels. Where no level is that small,
    evenly spaced chunks of the smallest level are read instead. Levels whose dtype differs from
    level 0 are passed over. NaN and infinity are left out.

    Parameters
    ----------
    image : Multiscale
    quantiles : sequence of float
        In percent, 0 to 100.
    channels : sequence of int
        Which channels to measure, in this order.
    max_voxels : int, optional
        How many voxels to read at most in each channel; one chunk is read in any case.

    Returns
    -------
    Intensity
        With the values of ``np.percentile(voxels, quantiles, method="inverted_cdf")``.

    Raises
    ------
    OptionError
        If a quantile, a channel or ``max_voxels`` is out of range.
    ImageError
        If a channel has no finite voxel, or voxels cannot be read.
    """
    if not all(0 <= q <= 100 for q in quantiles):
        raise OptionError(f"quantiles {tuple(quantiles)} are not all percentages from 0 to 100")
    if max_voxels < 1:
        raise OptionError(f"max_voxels is {max_voxels}; at least 1 voxel must be read")
    level, sampled = _choose_level(image, max_voxels)
    reader = VolumeReader(image, level=level, channels=channels)
    chunk = tuple(map(min, image.volume_chunks(level), reader.shape))
    if sampled:
        boxes = _spread_boxes(reader.shape, chunk, max_voxels)
    else:
        slab = _slab_shape(reader.shape, chunk, _SLAB_VOXELS // reader.num_channels)
        boxes = _grid_boxes(reader.shape, slab)
    counters = [_counter(reader.dtype) for _ in channels]
    for box in boxes:
        for counter, voxels in zip(counters, reader.read(box)):
            counter.add(voxels)
    for channel, counter in zip(channels, counters):
        if counter.size == 0:
            raise ImageError(
                f"channel {channel} of {image.url} has no finite voxel at level {level}"
            )
    return Intensity(level, sampled, tuple(counter.values(quantiles) for counter in counters))


class _Histogram:
    """Exact counts of every value of an integer type of at most 16 bits."""

    def __init__(self, dtype: np.dtype) -> None:
        self._lowest = 0 if dtype.kind == "b" else int(np.iinfo(dtype).min)
        self._counts = np.zeros(2 ** (8 * dtype.itemsize), np.int64)

    @property
    def size(self) -> int:
        return int(self._counts.sum())

    def add(self, voxels: np.ndarray) -> None:
        shifted = voxels.ravel().astype(np.int32) - self._lowest
        self._counts += np.bincount(shifted, minlength=len(self._counts))

    def values(self, quantiles: Sequence[float]) -> tuple[float, ...]:
        cumulative = np.cumsum(self._counts)
        found = np.searchsorted(cumulative, _ranks(self.size, quantiles), side="right")
        return tuple(float(index + self._lowest) for index in found)


class _Gathered:
    """All finite values themselves, for types with too many values to count."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []

    @property
    def size(self) -> int:
        return sum(part.size for part in self._parts)

    def add(self, voxels: np.ndarray) -> None:
        self._parts.append(voxels[np.isfinite(voxels)])

    def values(self, quantiles: Sequence[float]) -> tuple[float, ...]:
        gathered = np.concatenate(self._parts)
        ranks = _ranks(gathered.size, quantiles)
        return tuple(float(value) for value in np.partition(gathered, ranks)[ranks])


def _ranks(size: int, quantiles: Sequence[float]) -> np.ndarray:
    """Which of ``size`` sorted values each quantile is: numpy's ``inverted_cdf``, step by step."""
    return np.array([max(0, math.ceil(size * (q / 100) - 1)) for q in quantiles], np.intp)


def _counter(dtype: np.dtype) -> _Histogram | _Gathered:
    return _Histogram(dtype) if dtype.kind in "biu" and dtype.itemsize <= 2 else _Gathered()


def _choose_level(image: Multiscale, max_voxels: int) -> tuple[int, bool]:
    """Choose the level to read, and whether only a sample of it."""
    sizes = {
        k: math.prod(image.volume_shape(k))
        for k, level in enumerate(image.levels)
        if level.dtype == image.levels[0].dtype
    }
    fitting = [k for k, size in sizes.items() if size <= max_voxels]
    if fitting:
        return max(fitting, key=lambda k: sizes[k]), False
    return min(sizes, key=lambda k: sizes[k]), True


def _slab_shape(shape: Sequence[int], chunk: Sequence[int], voxels: int) -> tuple[int, ...]:
    """Whole chunks, as many as ``voxels`` hold, put together along the last axes first."""
    slab = list(chunk)
    for axis in reversed(range(len(slab))):
        times = max(1, voxels // math.prod(slab))
        slab[axis] = min(shape[axis], slab[axis] * times)
    return tuple(slab)


def _grid_boxes(shape: Sequence[int], slab: Sequence[int]) -> Iterator[Box]:
    starts = [range(0, size, step) for size, step in zip(shape, slab)]
    for start in itertools.product(*starts):
        yield _box_at(start, slab, shape)


def _spread_boxes(shape: Sequence[int], chunk: Sequence[int], voxels: int) -> Iterator[Box]:
    """Chunks evenly spaced along every axis, as many as ``voxels`` hold."""
    grid = [ceil_div(size, step) for size, step in zip(shape, chunk)]
    counts = _spread_counts(grid, max(1, voxels // math.prod(chunk)))
    picks = [
        [(2 * i + 1) * cells // (2 * count) * step for i in range(count)]
        for cells, count, step in zip(grid, counts, chunk)
    ]
    for start in itertools.product(*picks):
        yield _box_at(start, chunk, shape)


def _spread_counts(grid: Sequence[int], total: int) -> tuple[int, ...]:
    """How many cells to pick per axis: as even as the grid allows, at most ``total`` in all."""
    low, high = 1, max(grid)
    while low < high:
        middle = (low + high + 1) // 2
        if math.prod(min(cells, middle) for cells in grid) <= total:
            low = middle
        else:
            high = middle - 1
    counts = [min(cells, low) for cells in grid]
    for axis, cells in reversed(list(enumerate(grid))):
        others = math.prod(counts) // counts[axis]
        counts[axis] = min(cells, total // others)
    return tuple(counts)


def _box_at(start: Sequence[int], shape: Sequence[int], volume: Sequence[int]) -> Box:
    stop = tuple(min(a + n, size) for a, n, size in zip(start, shape, volume))
    return Box(tuple(start), stop)
