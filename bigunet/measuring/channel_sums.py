"""Sums of the grey values of one channel, of each object: exact, in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bigunet.measuring.digits import Planes, digits, square_digits
from bigunet.measuring.runs import Runs
from bigunet.measuring.wide import Wide, merged_rows


@dataclass(frozen=True, slots=True, eq=False)
class ChannelSums:
    """Sums over the voxels of each object, in one channel.

    Parameters
    ----------
    name : str
        Of the channel; empty if it is the only one and has no name.
    least, greatest : ndarray, (objects,)
        Grey values in the type of the image; NaN if a voxel is NaN.
    total, squares : Wide, (objects, 1)
        Sums of grey values, and of their squares, over the voxels that are finite.
    """

    name: str
    least: np.ndarray
    greatest: np.ndarray
    total: Wide
    squares: Wide

    @classmethod
    def of(cls, name: str, grey: np.ndarray, runs: Runs) -> ChannelSums:
        """Sums of grey values, one a voxel of the block, that lie under these runs."""
        grey = runs.inside(grey)
        return cls(
            name,
            _extreme(runs.least(grey)),
            _extreme(runs.greatest(grey)),
            _summed(digits(grey), runs),
            _summed(square_digits(grey), runs),
        )

    def rows(self, rows: slice) -> ChannelSums:
        """These objects alone."""
        return ChannelSums(
            self.name,
            self.least[rows],
            self.greatest[rows],
            self.total.take(rows),
            self.squares.take(rows),
        )

    def merged(
        self, other: ChannelSums, order: np.ndarray, groups: np.ndarray, reduced: Reduced
    ) -> ChannelSums:
        """Both together: rows in this order, then reduced by groups."""
        return ChannelSums(
            self.name,
            reduced(np.minimum, self.least, other.least),
            reduced(np.maximum, self.greatest, other.greatest),
            merged_rows(self.total, other.total, order, groups),
            merged_rows(self.squares, other.squares, order, groups),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file of sums holds of the channel, but for its name."""
        return {
            "least": self.least,
            "greatest": self.greatest,
            **self.total.arrays("total"),
            **self.squares.arrays("squares"),
        }

    @classmethod
    def of_arrays(cls, name: str, arrays: dict[str, np.ndarray]) -> ChannelSums:
        """The channel, from the arrays of :meth:`arrays`."""
        total, squares = (Wide.of_arrays(key, arrays) for key in ("total", "squares"))
        return cls(name, arrays["least"], arrays["greatest"], total, squares)


Reduced = Callable[[np.ufunc, np.ndarray, np.ndarray], np.ndarray]
"""A function that puts the rows of two arrays in order, then reduces each group."""


def _extreme(values: np.ndarray) -> np.ndarray:
    """Zeros and NaN of one kind each, so that the order leaves no trace."""
    if values.dtype.kind == "f":
        values = values + values.dtype.type(0)
        values[np.isnan(values)] = np.nan
    return values


def _summed(planes: Planes, runs: Runs) -> Wide:
    sums = {index: runs.sums(plane)[:, None] for index, plane in planes.items()}
    return Wide.of_planes(sums, (len(runs.ids), 1))
