"""Agreement by class: the number of voxels for each pair of true class and predicted class."""

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
    """Number of voxels by true class and predicted class. Images can be added.

    Parameters
    ----------
    voxels : mapping of (int, int) to int
        Number of voxels for each pair (true class, predicted class) that occurs.
    """

    voxels: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, prediction: np.ndarray, truth: np.ndarray) -> Confusion:
        """Count the voxels of two arrays of classes.

        Parameters
        ----------
        prediction, truth : ndarray of int
            Of equal shape. Each value is a class; 0 is a class, too.

        Raises
        ------
        OptionError
            If the shapes differ, or a value is negative or not a whole number.

        Examples
        --------
        >>> Confusion.of(np.array([0, 1, 1]), np.array([0, 0, 1])).voxels
        {(0, 0): 1, (0, 1): 1, (1, 1): 1}
        """
        check_labels(truth, prediction)
        table = OverlapTable.of(truth, prediction)
        true = table.first_labels[table.first].tolist()
        predicted = table.second_labels[table.second].tolist()
        return cls(dict(zip(zip(true, predicted), table.shared.tolist())))

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(dict(Counter(self.voxels) + Counter(other.voxels)))

    @property
    def classes(self) -> tuple[int, ...]:
        """Classes that occur in the truth or in the prediction, in ascending order."""
        return tuple(sorted({value for pair in self.voxels for value in pair}))

    @property
    def error(self) -> float:
        """Share of the voxels with a wrong class; NaN without voxels."""
        total = sum(self.voxels.values())
        wrong = sum(count for (true, predicted), count in self.voxels.items() if true != predicted)
        return wrong / total if total else math.nan

    def of_class(self, value: int) -> PixelCounts:
        """Counts of one class against all other classes."""
        counts = Counter[tuple[bool, bool]]()
        for (true, predicted), voxels in self.voxels.items():
            counts[true == value, predicted == value] += voxels
        return PixelCounts(
            counts[True, True], counts[False, True], counts[True, False], counts[False, False]
        )
