"""Parts of an image, and the cells of their planes: where a voxel counts, and what a cell holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

CELL = 16
"""Voxels along y and x of a cell."""
# Fewer voxels, at the edge of an image or a mask, may be equal by chance.
_LEAST = CELL**2 // 2


@dataclass(frozen=True, slots=True)
class Part:
    """Voxels of one channel, and which of them count.

    Parameters
    ----------
    voxels : ndarray, (*space)
        The last two axes are y and x.
    counts : ndarray of bool, (*space), or None
        None where all voxels count.
    """

    voxels: np.ndarray
    counts: np.ndarray | None

    @classmethod
    def of(cls, voxels: np.ndarray, wanted: np.ndarray | None = None) -> Part:
        """The voxels that are finite and wanted."""
        if voxels.dtype.kind == "f":
            finite = np.isfinite(voxels)
            if not finite.all():
                wanted = finite if wanted is None else finite & wanted
                # Infinities have no differences, not even where they do not count.
                voxels = np.where(finite, voxels, voxels.dtype.type(0))
        return cls(voxels, None if wanted is not None and wanted.all() else wanted)

    @property
    def size(self) -> int:
        """How many voxels count."""
        return self.voxels.size if self.counts is None else int(np.count_nonzero(self.counts))

    def chosen(self) -> np.ndarray:
        """The voxels that count, in one row."""
        return self.voxels.ravel() if self.counts is None else self.voxels[self.counts]

    def filled(self, value: Any) -> np.ndarray:
        """All voxels, with a value where they do not count."""
        return self.voxels if self.counts is None else np.where(self.counts, self.voxels, value)

    def without(self, value: Any) -> Part:
        """The voxels that have another value."""
        differs = self.voxels != value
        return Part(self.voxels, differs if self.counts is None else differs & self.counts)

    def without_flat_cells(self) -> Part:
        """The voxels of cells that hold more than one value; the part itself if all cells do.

        Cells of which less than a half counts are no evidence, and stay.
        """
        least, greatest = _ends(self.voxels.dtype)
        lowest = by_cell(np.minimum, self.filled(greatest))
        flat = lowest >= by_cell(np.maximum, self.filled(least))
        flat &= self._sizes() >= _LEAST
        if not flat.any():
            return self
        lively = ~on_voxels(flat, self.voxels.shape)
        return Part(self.voxels, lively if self.counts is None else lively & self.counts)

    def _sizes(self) -> np.ndarray:
        """How many voxels of each cell count."""
        if self.counts is not None:
            return by_cell(np.add, self.counts.astype(np.int32))
        sides = [
            np.minimum(CELL, n - np.arange(0, n, CELL)).astype(np.int32)
            for n in self.voxels.shape[-2:]
        ]
        sizes: np.ndarray = np.multiply.outer(*sides)
        return sizes

    def clear_of(self, value: Any) -> np.ndarray:
        """Whether each voxel counts and lies in a cell without this value."""
        equal = self.voxels == value
        if self.counts is not None:
            equal &= self.counts
        clear = ~on_voxels(by_cell(np.logical_or, equal), self.voxels.shape)
        return clear if self.counts is None else clear & self.counts


def by_cell(reduce: np.ufunc, voxels: np.ndarray) -> np.ndarray:
    """One value for each cell of each plane.

    >>> by_cell(np.maximum, np.arange(40).reshape(2, 20)).tolist()
    [[35, 39]]
    """
    for axis in (-1, -2):
        voxels = reduce.reduceat(voxels, np.arange(0, voxels.shape[axis], CELL), axis=axis)
    return voxels


def on_voxels(cells: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The value of each cell on all of its voxels."""
    grown = cells.repeat(CELL, axis=-2).repeat(CELL, axis=-1)
    return grown[..., : shape[-2], : shape[-1]]


def _ends(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Least and greatest value of a dtype, of that dtype."""
    if dtype.kind == "b":
        return np.False_, np.True_
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return dtype.type(limits.min), dtype.type(limits.max)
