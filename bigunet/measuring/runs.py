"""Runs of a block: voxels side by side along the last axis that are of one object.

::

    ids      0 0 7 7 7 0 9 9        runs     (first voxel 2, 3 voxels), (first voxel 6, 2 voxels)

There are fewer runs than voxels to sort and to add up. Coordinates here begin at the block's first
voxel.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of a block, sorted by id.

    Parameters
    ----------
    ids : ndarray of int64 or uint64, (objects,)
        Ascending.
    groups : ndarray of int64, (objects,)
        Index of the first run of each object.
    lengths : ndarray of int64, (runs,)
        Voxels of each run.
    first : ndarray of int64, (axes, runs)
        Coordinates of the first voxel of each run.
    """

    ids: np.ndarray
    groups: np.ndarray
    lengths: np.ndarray
    first: np.ndarray
    _inside: np.ndarray
    _starts: np.ndarray
    _order: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray) -> Runs:
        """Runs of a block of ids in C order; 0 is no object."""
        flat = ids.reshape(-1)
        begins = np.ones(flat.size, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        begins[:: max(1, ids.shape[-1])] = True
        starts = np.flatnonzero(begins)
        kept = np.flatnonzero(flat[starts])
        lengths = np.diff(starts, append=flat.size)[kept]
        starts = starts[kept]
        # Few numbers become wide, and not those of all voxels.
        run_ids = flat[starts].astype(np.uint64 if flat.dtype.kind == "u" else np.int64)
        order = np.argsort(run_ids, kind="stable")
        starts, sorted_ids = starts[order], run_ids[order]
        groups = np.flatnonzero(np.concatenate([[True], sorted_ids[1:] != sorted_ids[:-1]]))
        groups = groups[: len(sorted_ids)]
        first = np.stack(np.unravel_index(starts, ids.shape)).astype(np.int64)
        begins_inside = np.cumsum(lengths) - lengths
        return cls(
            sorted_ids[groups], groups, lengths[order], first, flat != 0, begins_inside, order
        )

    def inside(self, values: np.ndarray) -> np.ndarray:
        """Those of values, one a voxel of the block, that lie in objects; in C order."""
        return np.asarray(values.reshape(-1)[self._inside])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of values of int64, those of :meth:`inside`, of each object: (objects,)."""
        return self.of_runs(self._of_each_run(np.add, values))

    def of_runs(self, values: np.ndarray) -> np.ndarray:
        """Sum of values, one a run, of each object: (objects,)."""
        return self._reduced(np.add, values)

    def least(self, values: np.ndarray) -> np.ndarray:
        """Least of values, those of :meth:`inside`, of each object; NaN if one is NaN."""
        return self._reduced(np.minimum, self._of_each_run(np.minimum, values))

    def greatest(self, values: np.ndarray) -> np.ndarray:
        """Greatest of values, those of :meth:`inside`, of each object; NaN if one is NaN."""
        return self._reduced(np.maximum, self._of_each_run(np.maximum, values))

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """First voxel, and the voxel after the last, of each object: (objects, axes)."""
        stop = self.first + 1
        stop[-1] += self.lengths - 1
        starts = [self._reduced(np.minimum, axis) for axis in self.first]
        stops = [self._reduced(np.maximum, axis) for axis in stop]
        return np.stack(starts, axis=1), np.stack(stops, axis=1)

    def first_moments(self) -> np.ndarray:
        """Sum of the coordinates of each object: (objects, axes)."""
        return np.stack([self.of_runs(sums) for sums in self._run_sums()], axis=1)

    def second_moments(self) -> np.ndarray:
        """Sum of products of coordinates of each object, (objects, pairs), as `pairs` has them."""
        n, a = self.lengths, self.first[-1]
        last = self.first.shape[0] - 1
        of_runs = self._run_sums()
        squares = n * a * a + n * (n - 1) * a + (n - 1) * n * (2 * n - 1) // 6
        products = [
            squares if i == last else self.first[i] * of_runs[j] for i, j in pairs(last + 1)
        ]
        return np.stack([self.of_runs(product) for product in products], axis=1)

    def _run_sums(self) -> list[np.ndarray]:
        n, a = self.lengths, self.first[-1]
        return [*(n * axis for axis in self.first[:-1]), n * a + n * (n - 1) // 2]

    def _of_each_run(self, ufunc: np.ufunc, values: np.ndarray) -> np.ndarray:
        """Values that are reduced run by run, in the order of the runs' objects."""
        if not len(self._starts):
            return values[:0]
        return np.asarray(ufunc.reduceat(values, self._starts)[self._order])

    def _reduced(self, ufunc: np.ufunc, values: np.ndarray) -> np.ndarray:
        return np.asarray(ufunc.reduceat(values, self.groups) if len(self.groups) else values[:0])


def pairs(ndim: int) -> list[tuple[int, int]]:
    """Pairs of axes, each once.

    >>> pairs(2)
    [(0, 0), (0, 1), (1, 1)]
    """
    return list(itertools.combinations_with_replacement(range(ndim), 2))
