"""Agreement class by class: how many voxels of each true class were found as which."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bigunet.metrics.overlap import OverlapTable, check_labels
from bigunet.metrics.pixels import PixelCounts


@dataclass(frozen=True, slots=True)
class Confusion:
    """Voxels by their true and their found class; images add up.

    Parameters
    ----------
    voxels : mapping of (int, int) to int
        Of each pair of a true class and a found class that occurs, its voxels.
    """

    voxels: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, found: np.ndarray, truth: np.ndarray) -> Confusion:
        """Count two arrays of classes, of equal shape; every value is a class, 0 too.

        Raises
        ------
        OptionError
            If the shapes differ, or the values are not whole numbers from 0.

        Examples
        --------
        >>> Confusion.of(np.array([0, 1, 1]), np.array([0, 0, 1])).voxels
        {(0, 0): 1, (0, 1): 1, (1, 1): 1}
        """
        check_labels(truth, found)
        table = OverlapTable.of(truth, found)
        true = table.first_labels[table.first].tolist()
        other = table.second_labels[table.second].tolist()
        return cls(dict(zip(zip(true, other), table.shared.tolist())))

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(dict(Counter(self.voxels) + Counter(other.voxels)))

    @property
    def classes(self) -> tuple[int, ...]:
        """Those that are true or found anywhere, ascending."""
        return tuple(sorted({value for pair in self.voxels for value in pair}))

    @property
    def error(self) -> float:
        """Share of the voxels whose class is wrong; NaN without voxels."""
        total = sum(self.voxels.values())
        wrong = sum(count for (true, found), count in self.voxels.items() if true != found)
        return wrong / total if total else math.nan

    def of_class(self, value: int) -> PixelCounts:
        """One class against all others."""
        counts = Counter[tuple[bool, bool]]()
        for (true, found), voxels in self.voxels.items():
            counts[true == value, found == value] += voxels
        return PixelCounts(
            counts[True, True], counts[False, True], counts[True, False], counts[False, False]
        )
