"""Downsampling from one level of a pyramid to the next; it knows no storage."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bigunet.errors import GeometryError
from bigunet.io.output.cell_mean import mean
from bigunet.io.output.majority import majority

Voxels = npt.NDArray[Any]


def downsample_mode(labels: Voxels, factor: Sequence[int]) -> Voxels:
    """Take the most frequent label of each cell of ``factor`` voxels.

    A block that starts at even voxels gives the same result as the whole array at that place.

    Parameters
    ----------
    labels : ndarray of an integer dtype
    factor : sequence of 1 or 2, per axis
        Half of an odd extent is rounded up; a cell at the edge has only the voxels inside.

    Returns
    -------
    ndarray
        Of the same dtype. If several labels are equally frequent, the first in C order of the
        cell is taken.

    Raises
    ------
    GeometryError
        If ``factor`` does not fit the array.

    Examples
    --------
    >>> downsample_mode(np.array([[1, 2, 3], [2, 0, 4]]), (2, 2))
    array([[2, 3]])
    """
    return _downsample(labels, factor, majority)


def downsample_mean(values: Voxels, factor: Sequence[int]) -> Voxels:
    """Take the mean of each cell of ``factor`` voxels; for integers, halves are rounded up.

    A block that starts at even voxels gives the same result as the whole array at that place.

    Parameters
    ----------
    values : ndarray of an integer or floating dtype
    factor : sequence of 1 or 2, per axis
        Half of an odd extent is rounded up; a cell at the edge has only the voxels inside.

    Returns
    -------
    ndarray
        Of the same dtype.

    Raises
    ------
    GeometryError
        If ``factor`` does not fit the array.

    Examples
    --------
    >>> downsample_mean(np.array([0, 1, 5], np.uint8), (2,))
    array([1, 5], dtype=uint8)
    """
    return _downsample(values, factor, mean)


def level_scale(
    scale: Sequence[float], translation: Sequence[float], factor: Sequence[int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and translation of a level that is coarser by ``factor``.

    The translation is the position of the centre of the first voxel. If a voxel grows by some
    length, its centre moves by half of that length.

    Examples
    --------
    >>> level_scale((0.5,), (10.0,), (4,))
    ((2.0,), (10.75,))
    """
    return (
        tuple(float(s * f) for s, f in zip(scale, factor, strict=True)),
        tuple(
            float(t + s * (f - 1) / 2) for s, t, f in zip(scale, translation, factor, strict=True)
        ),
    )


def _downsample(
    values: Voxels, factor: Sequence[int], reduce: Callable[[Voxels, Sequence[int]], Voxels]
) -> Voxels:
    if len(factor) != values.ndim or not set(factor) <= {1, 2}:
        raise GeometryError(
            f"cannot downsample shape {values.shape} by {tuple(factor)}: give 1 or 2 for each axis"
        )
    shape = [-(-n // f) for n, f in zip(values.shape, factor)]
    result = np.empty(shape, values.dtype)
    for source, target, cell in _regions(values.shape, factor):
        result[target] = reduce(values[source], cell)
    return result


def _regions(
    shape: Sequence[int], factor: Sequence[int]
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], tuple[int, ...]]]:
    """Regions of cells with the same shape: source, target, and shape of a cell.

    One region has whole cells. The others are at the end of odd extents, where cells are cut.
    """
    parts = []
    for extent, f in zip(shape, factor):
        whole = extent // f
        part = [(slice(0, whole * f), slice(0, whole), f)]
        if extent % f:
            part.append((slice(whole * f, extent), slice(whole, whole + 1), 1))
        parts.append(part)
    for combination in itertools.product(*parts):
        source, target, cell = zip(*combination) if combination else ((), (), ())
        yield source, target, cell
