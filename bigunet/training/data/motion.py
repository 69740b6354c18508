"""Motions of a patch: which voxels of the image the patch shows, and the values between voxels.

Nothing here is random: ``augment`` draws how far a patch moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box
from bigunet.options.choices import InterpolationOrder
from bigunet.training.data.interpolation import AFTER, BEFORE, interpolate, nearest

Inner = tuple[slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """How one patch is cut out of an image, in the same way for its voxels, labels and weights.

    :meth:`still` and :meth:`along` make a motion; :meth:`turned` mirrors and transposes the patch.

    Parameters
    ----------
    source : Box
        The box to read, in voxels of the image; it may leave the image.
    shape : tuple of int
        Shape of the patch, with as many axes as ``source``.
    where : ndarray of float32, (axis, *patch), or None
        Position of each voxel of the patch within ``source``, in voxels, along the last axes of
        the image. None if the patch is ``source`` itself.
    order : {1, 3}
        Interpolation of the image: 1 is linear, 3 is cubic convolution with a = -3/4.
    axes : tuple of int
        New order of the last axes of the patch, counted from the end: -1 is the last axis.
    mirrored : tuple of int
        Axes of the result that run backwards, counted in the same way.
    """

    source: Box
    shape: tuple[int, ...]
    where: np.ndarray | None
    order: InterpolationOrder = 1
    axes: tuple[int, ...] = ()
    mirrored: tuple[int, ...] = ()

    @classmethod
    def still(cls, box: Box) -> Motion:
        """The motion of a patch that is ``box`` itself."""
        return cls(box, box.shape, None)

    @classmethod
    def along(cls, box: Box, where: np.ndarray, *, order: InterpolationOrder = 3) -> Motion:
        """The motion of a patch that is interpolated at given positions.

        Parameters
        ----------
        box : Box
            The patch if it did not move; its extent is 1 along all axes except the last ones.
        where : ndarray of float, (axis, *patch)
            Positions along the last 2 or 3 axes, in voxels from the start of ``box``; they may
            lie outside of it.
        order : {1, 3}

        Raises
        ------
        TrainingError
            If the positions do not fit the box.
        """
        ndim = len(where)
        resting = box.shape[: box.ndim - ndim]
        if ndim not in (2, 3) or where.shape[1:] != box.shape[-ndim:] or set(resting) - {1}:
            raise TrainingError(
                f"positions {where.shape} do not move a patch {box}; "
                "give them for its last 2 or 3 axes, the others being 1 voxel long"
            )
        flat = where.reshape(ndim, -1)
        low = (*(0,) * len(resting), *(int(v) - BEFORE for v in np.floor(flat.min(axis=1))))
        # One voxel more, because rounding to float32 can move a position into the next voxel.
        high = (*(1,) * len(resting), *(int(v) + AFTER + 2 for v in np.floor(flat.max(axis=1))))
        offset = np.array(low[-ndim:], where.dtype).reshape(-1, *(1,) * ndim)
        within = np.asarray(where - offset, np.float32)
        return cls(Box(low, high).shift(box.start), box.shape, within, order)

    def turned(self, axes: Sequence[int], mirrored: Sequence[int]) -> Motion:
        """The same patch with its axes in another order, and then mirrored along some axes.

        Parameters
        ----------
        axes, mirrored : sequence of int
            Axes counted from the end; only axes of equal length may change places.

        Raises
        ------
        TrainingError
            If the shape would change.
        """
        if [self.shape[axis] for axis in axes] != list(self.shape[len(self.shape) - len(axes) :]):
            raise TrainingError(f"a patch of shape {self.shape} cannot take the axes {tuple(axes)}")
        return replace(self, axes=tuple(axes), mirrored=tuple(mirrored))

    def image(self, voxels: np.ndarray) -> np.ndarray:
        """Cut the patch out of an image.

        Parameters
        ----------
        voxels : ndarray of float32, (channel, *source.shape)

        Returns
        -------
        ndarray of float32, (channel, *shape)
        """
        if self.where is None:
            return np.ascontiguousarray(self._oriented(voxels), np.float32)
        planes = voxels.reshape(-1, *self._moving)
        moved = interpolate(planes, self._positions(()), self.order)
        return moved.reshape(-1, *self.shape)

    def labels(self, ids: np.ndarray, inner: Inner = ()) -> np.ndarray:
        """Cut the patch out of a label image: each voxel gets the nearest label.

        Parameters
        ----------
        ids : ndarray, (*source.shape)
        inner : tuple of slice
            The part of the patch, along its last axes, to compute; empty for the whole patch.

        Returns
        -------
        ndarray of the same type, with the shape of the patch, or of its part ``inner``
        """
        if self.where is None:
            return np.ascontiguousarray(_cut(self._oriented(ids), inner))
        planes = ids.reshape(self._moving)
        return self._with_resting_axes(nearest(planes, self._positions(inner)))

    def weights(self, weights: np.ndarray, inner: Inner = ()) -> np.ndarray:
        """Cut the patch out of a weight map.

        It is linear between voxels, so that no weight is below the lowest weight of the map.

        Parameters
        ----------
        weights : ndarray of float32, (*source.shape)
        inner : tuple of slice
            As in :meth:`labels`.

        Returns
        -------
        ndarray of float32, with the shape of the patch, or of its part ``inner``
        """
        if self.where is None:
            return np.ascontiguousarray(_cut(self._oriented(weights), inner), np.float32)
        planes = weights.reshape(1, *self._moving)
        return self._with_resting_axes(interpolate(planes, self._positions(inner), 1)[0])

    @property
    def _moving(self) -> tuple[int, ...]:
        """Shape of the source along the axes that move."""
        assert self.where is not None
        return self.source.shape[-len(self.where) :]

    def _positions(self, inner: Inner) -> np.ndarray:
        assert self.where is not None
        return _cut(self._oriented(self.where), inner)

    def _oriented(self, array: np.ndarray) -> np.ndarray:
        """A view of an array, with its last axes reordered and mirrored as those of the patch."""
        leading = array.ndim - len(self.axes)
        array = array.transpose(*range(leading), *(array.ndim + axis for axis in self.axes))
        return np.asarray(np.flip(array, self.mirrored))

    def _with_resting_axes(self, array: np.ndarray) -> np.ndarray:
        return array.reshape((1,) * (len(self.shape) - array.ndim) + array.shape)


def _cut(array: np.ndarray, inner: Inner) -> np.ndarray:
    selection: tuple[Any, ...] = (..., *inner)
    return np.asarray(array[selection])


def affine_positions(
    shape: Sequence[int], matrix: np.ndarray, shift: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Positions in the image of a patch's voxels, after a turn about its centre and a shift.

    Parameters
    ----------
    shape : sequence of int
    matrix : ndarray of float, (axis, axis)
        Maps voxels of the patch to voxels of the image, both measured from the patch's centre.
    shift : sequence of float
        Shift in voxels of the image.

    Returns
    -------
    ndarray of float32, (axis, *shape)
        Positions in voxels of the image, measured from the first voxel of the unmoved patch.
    """
    middle = [(n - 1) / 2 for n in shape]
    where = np.empty((len(shape), *shape), np.float32)
    for row, out, start in zip(matrix, where, np.add(middle, shift)):
        # The sum stays float64 until the last axis is added, when it grows to the whole shape.
        *first, last = (
            factor * (np.arange(n) - m).reshape(-1, *(1,) * (len(shape) - 1 - axis))
            for axis, (factor, n, m) in enumerate(zip(row, shape, middle))
        )
        np.add(sum(first, start), last, out=out, casting="same_kind")
    return where


def elastic_displacement(shape: Sequence[int], points: np.ndarray) -> np.ndarray:
    """A smooth displacement of each voxel, from vectors on a coarse grid over the patch.

    Parameters
    ----------
    shape : sequence of int
    points : ndarray of float, (axis, *coarse)
        Vectors at the points of the grid, at least 2 points along each axis.

    Returns
    -------
    ndarray of float32, (axis, *shape)
        Displacements, interpolated by natural cubic splines.
    """
    bent = points.astype(np.float32)
    for axis, (size, count) in enumerate(zip(shape, points.shape[1:]), start=1):
        knots = np.linspace(0, max(1, size - 1), count)
        # Imported here, because it takes a tenth of the start of every command and worker.
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(knots, np.eye(count), bc_type="natural")
        basis = spline(np.arange(size)).T.astype(np.float32)
        parts = np.moveaxis(bent, axis, 0)[..., np.newaxis]
        # No matrix product: for so few points, it takes longer to wake the threads of BLAS.
        bent = np.moveaxis(sum(part * row for part, row in zip(parts, basis)), -1, axis)
    return np.ascontiguousarray(bent)
