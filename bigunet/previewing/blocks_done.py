"""Which blocks of an output are done, and who wants to know of new ones; it knows no voxels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box, Point, ceil_div


class BlocksDone:
    """The finished blocks of a grid. Several threads may use it at the same time.

    Parameters
    ----------
    grid : BlockGrid
        The blocks of the output, from voxel 0 on.
    numbers : iterable of int
        Numbers of the blocks that are done.
    """

    def __init__(self, grid: BlockGrid, numbers: Iterable[int]) -> None:
        self.grid = grid
        self._done = np.zeros(grid.shape, bool)
        self._done.flat[list(numbers)] = True
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Point], None]] = []

    def add(self, index: Point) -> None:
        """Note that a block is done, and say so to all listeners."""
        with self._lock:
            self._done[index] = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener(index)

    def listen(self, listener: Callable[[Point], None]) -> None:
        """Call a function with the index of each block that will be done."""
        with self._lock:
            self._listeners.append(listener)

    def any_in(self, box: Box) -> bool:
        """Whether a block that shares voxels with the box is done."""
        return bool(self._done[self._cells(box)].any())

    def all_in(self, box: Box) -> bool:
        """Whether all blocks that share voxels with the box are done."""
        return bool(self._done[self._cells(box)].all())

    def _cells(self, box: Box) -> tuple[slice, ...]:
        extents = zip(box.start, box.stop, self.grid.block_shape)
        return tuple(slice(a // n, ceil_div(b, n)) for a, b, n in extents)
