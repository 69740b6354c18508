"""Pieces of an image, which of their voxels count, and the cells into which planes are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

CELL = 16
"""Side of a cell along y and x, in voxels."""
# In a smaller cell, at the edge of an image or a mask, all voxels may be equal by chance.
_LEAST = CELL**2 // 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an image: voxels of one channel, and which of them count.

    Parameters
    ----------
    voxels : ndarray, (*space)
        The last two axes are y and x.
    counts : ndarray of bool, (*space), or None
        None if all voxels count.
    """

    voxels: np.ndarray
    counts: np.ndarray | None

    @classmethod
    def of(cls, voxels: np.ndarray, mask: np.ndarray | None = None) -> Piece:
        """A piece in which voxels count if they are finite and True in the mask."""
        if voxels.dtype.kind == "f":
            finite = np.isfinite(voxels)
            if not finite.all():
                mask = finite if mask is None else finite & mask
                # A difference of infinities is NaN, also where they do not count.
                voxels = np.where(finite, voxels, voxels.dtype.type(0))
        return cls(voxels, None if mask is not None and mask.all() else mask)

    @property
    def size(self) -> int:
        """Number of voxels that count."""
        return self.voxels.size if self.counts is None else int(np.count_nonzero(self.counts))

    def chosen(self) -> np.ndarray:
        """The voxels that count, as an array of one axis."""
        return self.voxels.ravel() if self.counts is None else self.voxels[self.counts]

    def filled(self, value: Any) -> np.ndarray:
        """All voxels; those that do not count are replaced by a value."""
        return self.voxels if self.counts is None else np.where(self.counts, self.voxels, value)

    def without(self, value: Any) -> Piece:
        """The same piece, in which voxels of this value do not count."""
        differs = self.voxels != value
        return Piece(self.voxels, differs if self.counts is None else differs & self.counts)

    def without_flat_cells(self) -> Piece:
        """The same piece, in which cells of one single value do not count.

        Cells in which fewer than half of the voxels count are kept: they are too small to judge.
        If there is no cell of one value, the result is this object itself.
        """
        least, greatest = _ends(self.voxels.dtype)
        lowest = by_cell(np.minimum, self.filled(greatest))
        flat = lowest >= by_cell(np.maximum, self.filled(least))
        flat &= self._sizes() >= _LEAST
        if not flat.any():
            return self
        lively = ~on_voxels(flat, self.voxels.shape)
        return Piece(self.voxels, lively if self.counts is None else lively & self.counts)

    def _sizes(self) -> np.ndarray:
        """Number of voxels of each cell that count."""
        if self.counts is not None:
            return by_cell(np.add, self.counts.astype(np.int32))
        sides = [
            np.minimum(CELL, n - np.arange(0, n, CELL)).astype(np.int32)
            for n in self.voxels.shape[-2:]
        ]
        sizes: np.ndarray = np.multiply.outer(*sides)
        return sizes

    def clear_of(self, value: Any) -> np.ndarray:
        """Whether each voxel counts and its cell does not hold this value."""
        equal = self.voxels == value
        if self.counts is not None:
            equal &= self.counts
        clear = ~on_voxels(by_cell(np.logical_or, equal), self.voxels.shape)
        return clear if self.counts is None else clear & self.counts


def by_cell(reduce: np.ufunc, voxels: np.ndarray) -> np.ndarray:
    """Reduce each cell of each plane to one value.

    >>> by_cell(np.maximum, np.arange(40).reshape(2, 20)).tolist()
    [[35, 39]]
    """
    for axis in (-1, -2):
        voxels = reduce.reduceat(voxels, np.arange(0, voxels.shape[axis], CELL), axis=axis)
    return voxels


def on_voxels(cells: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Repeat the value of each cell for all of its voxels."""
    grown = cells.repeat(CELL, axis=-2).repeat(CELL, axis=-1)
    return grown[..., : shape[-2], : shape[-1]]


def _ends(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The least and the greatest value that a dtype holds, as scalars of that dtype."""
    if dtype.kind == "b":
        return np.False_, np.True_
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return dtype.type(limits.min), dtype.type(limits.max)
