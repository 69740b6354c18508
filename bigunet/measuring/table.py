"""The columns of the table of objects, from their sums; names are those of scikit-image.

Each number is rounded from exact sums at the end, so that it does not depend on the blocks. Columns
in micrometres have ``um`` in their names; the others count voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bigunet.errors import OptionError
from bigunet.measuring.shapes import (
    Columns,
    axes_of,
    eccentricity_of,
    orientation_of,
    scatter_of,
)
from bigunet.measuring.sums import ObjectSums
from bigunet.measuring.wide import LIMB_BITS

_ROWS = 1 << 16
"""Objects at a time: Python's integers take ten times the memory of a column."""


def table_of(
    sums: ObjectSums,
    shape: Sequence[int],
    *,
    voxel_size_um: Sequence[float] | None = None,
    channels: Sequence[str] | None = None,
) -> Columns:
    """Columns of the table of objects, one row an object, ascending by label.

    Parameters
    ----------
    sums : ObjectSums
        Of the whole volume.
    shape : sequence of int
        Voxels of the volume per axis.
    voxel_size_um : sequence of float, optional
        Micrometres of a voxel per axis. Without it there are no columns in micrometres, and
        eccentricity and orientation are those in voxels.
    channels : sequence of str, optional
        What follows the hyphen in the names of columns of grey values, one a channel. By default
        one channel has no hyphen, and several have their numbers.

    Returns
    -------
    dict of str to ndarray, (objects,)
        The columns of :func:`bigunet.measure`.

    Raises
    ------
    OptionError
        If sizes of voxels or names do not fit the axes and channels, or a size is not above 0.
    """
    spacing = _checked_spacing(voxel_size_um, sums.ndim)
    suffixes = _suffixes(channels, sums.num_channels)
    parts = [
        _columns(sums.rows(slice(begin, begin + _ROWS)), shape, spacing, suffixes)
        for begin in range(0, max(1, len(sums)), _ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(
    sums: ObjectSums,
    shape: Sequence[int],
    spacing: tuple[float, ...] | None,
    suffixes: Sequence[str],
) -> Columns:
    columns = {"label": sums.ids, "area": sums.voxels}
    if spacing is not None:
        name = "area_um2" if sums.ndim == 2 else "volume_um3"
        columns[name] = sums.voxels * math.prod(spacing)
    columns |= _places(sums, spacing)
    scatter = scatter_of(sums)
    columns |= _lengths(sums, scatter, (1.0,) * sums.ndim, "")
    if spacing is not None:
        columns |= _lengths(sums, scatter, spacing, "_um")
    if sums.ndim == 2:
        sizes = spacing or (1.0, 1.0)
        columns["eccentricity"] = eccentricity_of(scatter, sums.voxels, sizes)
        columns["orientation"] = orientation_of(scatter, sums.voxels, sizes)
    for channel, suffix in enumerate(suffixes):
        columns |= _grey(sums, channel, suffix)
    columns["touches_border"] = sums.touches_border(shape)
    return columns


def _places(sums: ObjectSums, spacing: tuple[float, ...] | None) -> Columns:
    n = sums.voxels.astype(object)[:, None]
    centroids = (sums.first_moments.integers(0) / n).astype(np.float64)
    columns = {f"centroid-{axis}": centroids[:, axis] for axis in range(sums.ndim)}
    if spacing is not None:
        columns |= {f"centroid_um-{a}": centroids[:, a] * size for a, size in enumerate(spacing)}
    box = np.concatenate([sums.start, sums.stop], axis=1)
    return columns | {f"bbox-{k}": box[:, k] for k in range(2 * sums.ndim)}


def _lengths(
    sums: ObjectSums, scatter: np.ndarray, spacing: tuple[float, ...], unit: str
) -> Columns:
    lengths = axes_of(scatter, sums.voxels, spacing)
    names = ("major", "minor") if sums.ndim == 2 else ("major", "middle", "minor")
    columns = {f"axis_{name}_length{unit}": length for name, length in zip(names, lengths)}
    size = sums.voxels * math.prod(spacing)
    diameter = (2 * sums.ndim * size / np.pi) ** (1 / sums.ndim)
    return columns | {f"equivalent_diameter_area{unit}": diameter}


def _grey(sums: ObjectSums, channel: int, suffix: str) -> Columns:
    least, greatest = sums.least[:, channel], sums.greatest[:, channel]
    mean, std = _mean_and_deviation(sums, channel)
    if least.dtype.kind == "f":
        finite = np.isfinite(least) & np.isfinite(greatest)
        with np.errstate(invalid="ignore", over="ignore"):
            # NaN if there is a NaN, or infinities of both signs; else the infinity.
            mean = np.where(finite, mean, least + greatest)
        std = np.where(finite, std, np.nan)
    return {
        f"intensity_mean{suffix}": mean,
        f"intensity_std{suffix}": std,
        f"intensity_min{suffix}": least,
        f"intensity_max{suffix}": greatest,
    }


def _mean_and_deviation(sums: ObjectSums, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the root of n sum v**2 - (sum v)**2 over n**2: both are rounded once."""
    n = sums.voxels.astype(object)
    low = min(sums.grey.low, sums.grey_squares.low // 2, 0)
    total = sums.grey.integers(low)[:, channel]
    squares = sums.grey_squares.integers(2 * low)[:, channel]
    unit = 1 << (-LIMB_BITS * low)
    variance = np.maximum(n * squares - total * total, 0) / (n * n * unit * unit)
    mean = total / (n * unit)
    return mean.astype(np.float64), np.sqrt(variance.astype(np.float64))


def _checked_spacing(size: Sequence[float] | None, ndim: int) -> tuple[float, ...] | None:
    if size is None:
        return None
    spacing = tuple(float(value) for value in size)
    if len(spacing) != ndim:
        raise OptionError(
            f"a voxel has {len(spacing)} sizes, the labels {ndim} axes; give one each"
        )
    if not all(0 < value < math.inf for value in spacing):
        raise OptionError(f"the size of a voxel is {spacing}; give micrometres above 0")
    return spacing


def _suffixes(channels: Sequence[str] | None, num_channels: int) -> list[str]:
    if channels is None:
        return [""] if num_channels == 1 else [f"-{c}" for c in range(num_channels)]
    if len(channels) != num_channels or len(set(channels)) != num_channels:
        raise OptionError(
            f"{num_channels} channels have the names {list(channels)}; give one each, all different"
        )
    return [f"-{name}" for name in channels]
