"""How many objects have each size: exact medians without a list of all objects."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True, eq=False)
class SizeCounts:
    """Sizes of objects, each with the number of its objects.

    All objects together have no more voxels than the image, so there are few sizes: at most the
    root of twice the voxels, which is 1.4 million for 10^12 voxels.

    Attributes
    ----------
    sizes : ndarray of int64
        Each size that some object has, in voxels, ascending.
    counts : ndarray of int64
        Number of objects of each size.

    Examples
    --------
    >>> counted = SizeCounts()
    >>> counted.add(np.array([5, 2, 5]))
    >>> counted.add(np.array([9]))
    >>> counted.num_objects, counted.median()
    (4, 5.0)
    """

    sizes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def num_objects(self) -> int:
        return int(self.counts.sum())

    def add(self, sizes: np.ndarray) -> None:
        """Count more objects, by their sizes."""
        new, new_counts = np.unique(sizes.astype(np.int64, copy=False), return_counts=True)
        merged, places = np.unique(np.concatenate([self.sizes, new]), return_inverse=True)
        counts = np.zeros(len(merged), np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, new_counts]))
        self.sizes, self.counts = merged, counts

    def median(self) -> float:
        """The middle size, or the mean of the two in the middle; NaN without objects."""
        if not self.num_objects:
            return float("nan")
        middle = [(self.num_objects - 1) // 2, self.num_objects // 2]
        places = np.searchsorted(np.cumsum(self.counts), middle, side="right")
        return float(np.mean(self.sizes[places]))
