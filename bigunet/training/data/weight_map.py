"""The weight map of the loss: how much each voxel counts. This module does not know of patches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from bigunet.errors import TrainingError
from bigunet.io.sources.annotations import is_annotated

_CUTOFF = 6.15
"""Distance in sigmas beyond which the border term is 0: its 6e-9 w0 would be lost in float32."""

_CROWDED = 3
"""A distance transform takes this many times longer with many borders than with one (measured)."""


def border_term(
    instances: np.ndarray, *, w0: float, sigma: float, spacing: Sequence[float]
) -> np.ndarray:
    """Weight that is added to the class weight of voxels near two cells.

    It is w0 · exp(-(d1 + d2)² / (2 sigma²)), where d1 and d2 are the distances to the borders of
    the nearest and of the second nearest cell, also for voxels inside cells. The border of a cell
    consists of its voxels with a face to a voxel outside the cell. A face at the edge of the image
    does not count.

    Parameters
    ----------
    instances : ndarray of int, (*space)
        0 is background, and all voxels with the same other value are one cell, connected or not.
        Voxels that nobody annotated are neither: there is no border where they touch a cell.
    w0 : float
        Weight between two cells that touch.
    sigma : float
        In units of the smallest side of a voxel.
    spacing : sequence of float
        Size of a voxel along each axis, in any unit.

    Returns
    -------
    ndarray of float32, (*space)
        0 to w0; 0 where d1 + d2 exceeds 6.15 sigma.

    Raises
    ------
    TrainingError
        If the labels are not integers, or a number is out of its range.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28, equation 2.

    Examples
    --------
    >>> border_term(np.array([3, 3, 0, 0, 7, 7]), w0=10, sigma=5, spacing=(1,)).round(2)
    array([6.07, 8.35, 8.35, 8.35, 8.35, 6.07], dtype=float32)
    """
    if instances.dtype.kind not in "iub":
        raise TrainingError(f"labels are {instances.dtype}; a weight map takes integers")
    reach = border_reach(w0=w0, sigma=sigma, spacing=spacing, ndim=instances.ndim)
    term = np.zeros(instances.shape, np.float32)
    if w0 == 0 or instances.size == 0:
        return term
    borders, count = _borders(instances)
    if count < 2:
        return term
    nearest, second = _two_nearest(borders, count, _in_smallest(spacing), reach)
    sums = np.add(nearest, second, out=nearest)
    near = sums <= _CUTOFF * sigma
    term[near] = w0 * np.exp(sums[near] ** 2 / (-2 * sigma**2))
    return term


def border_reach(
    *, w0: float, sigma: float, spacing: Sequence[float], ndim: int
) -> tuple[int, ...]:
    """Distance in voxels, per axis, beyond which labels cannot change the border term.

    Parameters
    ----------
    w0, sigma, spacing
        As in :func:`border_term`.
    ndim : int

    Raises
    ------
    TrainingError
        If a number is out of its range.

    Examples
    --------
    >>> border_reach(w0=10, sigma=5, spacing=(4, 1, 1), ndim=3)
    (9, 32, 32)
    """
    if len(spacing) != ndim or not all(0 < size < math.inf for size in spacing):
        raise TrainingError(f"spacing is {tuple(spacing)}; give {ndim} positive numbers")
    if not 0 <= w0 < math.inf:
        raise TrainingError(f"w0 is {w0}; give 0 or more")
    if not 0 < sigma < math.inf:
        raise TrainingError(f"sigma is {sigma}; give a positive number")
    if w0 == 0:
        return (0,) * ndim
    # One more, because a voxel's neighbours decide whether it belongs to a border.
    return tuple(math.floor(_CUTOFF * sigma / size) + 2 for size in _in_smallest(spacing))


def class_weights(counts: Sequence[int], *, balance: float) -> tuple[float, ...]:
    """Weight of each class: its inverse frequency to the power ``balance``.

    The weights are scaled so that a voxel weighs 1 on average.

    Parameters
    ----------
    counts : sequence of int
        Number of voxels of each class.
    balance : float
        With 1 all classes count equally, with 0 all voxels.

    Raises
    ------
    TrainingError
        If a class has no voxel.

    Examples
    --------
    >>> class_weights([90, 10], balance=1)
    (0.5555555555555556, 5.0)
    """
    empty = [str(number) for number, count in enumerate(counts) if count <= 0]
    if empty:
        raise TrainingError(
            f"no voxel is of class {', '.join(empty)}; a class that never occurs has no weight"
        )
    shares = np.asarray(counts, float) / sum(counts)
    weights = shares**-balance
    return tuple(float(w) for w in weights / (shares * weights).sum())


def _in_smallest(spacing: Sequence[float]) -> tuple[float, ...]:
    return tuple(size / min(spacing) for size in spacing)


def _borders(instances: np.ndarray) -> tuple[np.ndarray, int]:
    """The borders of all cells, and the number of cells that have a border.

    A border voxel has the number of its cell, from 1 on; other voxels are 0. A cell without a
    border, such as a cell that only unknown voxels surround, gets no number.
    """
    known = is_annotated(instances)
    at_border = np.zeros(instances.shape, bool)
    for axis in range(instances.ndim):
        label, sure = instances.swapaxes(0, axis), known.swapaxes(0, axis)
        mark = at_border.swapaxes(0, axis)
        differs = (label[1:] != label[:-1]) & sure[1:] & sure[:-1]
        mark[1:] |= differs
        mark[:-1] |= differs
    at_border &= instances != 0
    values, places = np.unique(instances[at_border], return_inverse=True)
    numbers = np.zeros(instances.shape, np.int32)
    numbers[at_border] = places.reshape(-1) + 1
    return numbers, len(values)


def _two_nearest(
    borders: np.ndarray, count: int, unit: Sequence[float], reach: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest and to the second nearest cell.

    A distance beyond ``reach`` may be infinite. Two exact methods are used. One cell after another
    is faster for compact cells and a short reach. Sets of cells are faster where cells consist of
    several pieces, or where many cells surround each voxel.
    """
    boxes = [
        (number, tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(box, reach)))
        for number, box in enumerate(ndimage.find_objects(borders), start=1)
    ]
    codes = _codes(count)
    one_by_one = sum(borders[box].size for _, box in boxes)
    if one_by_one > _CROWDED * (len(codes) + 1) * borders.size:
        return _by_sets(borders, codes, unit)
    return _by_cells(borders, boxes, unit)


def _by_cells(
    borders: np.ndarray, boxes: list[tuple[int, tuple[slice, ...]]], unit: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """One cell after another: the two smallest distances so far, in the box that a cell reaches."""
    nearest = np.full(borders.shape, np.inf)
    second = np.full(borders.shape, np.inf)
    for number, box in boxes:
        distance = ndimage.distance_transform_edt(borders[box] != number, sampling=unit)
        low, high = nearest[box], second[box]
        np.minimum(high, np.maximum(low, distance), out=high)
        np.minimum(low, distance, out=low)
    return nearest, second


def _by_sets(
    borders: np.ndarray, codes: np.ndarray, unit: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest cell of all cells, and the nearest cell of each set without that cell.

    The nearest of the latter is the second nearest cell.
    """
    nearest, places = ndimage.distance_transform_edt(
        borders == 0, sampling=unit, return_indices=True
    )
    owner = borders[tuple(places)]
    second = np.full(borders.shape, np.inf)
    for members in codes:
        distance = ndimage.distance_transform_edt(~members[borders], sampling=unit)
        np.minimum(second, distance, out=second, where=~members[owner])
    return nearest, second


def _codes(count: int) -> np.ndarray:
    """Sets of cells, as a table of bool (set, cell); cell 0 is in no set.

    For any two cells a and b there is a set that contains b and not a. Each cell is in half of
    the sets, and no two cells are in the same sets. By Sperner's theorem this takes the fewest
    sets: 15 for 5,000 cells.
    """
    sets = next(n for n in itertools.count(2) if math.comb(n, n // 2) >= count)
    codes = np.zeros((sets, count + 1), bool)
    choices = itertools.combinations(range(sets), sets // 2)
    for cell, chosen in enumerate(itertools.islice(choices, count), start=1):
        codes[list(chosen), cell] = True
    return codes
