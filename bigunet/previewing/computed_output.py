"""The voxels of an output at any level: read where blocks are done, computed if that is asked for.

::

    level 0   | block | block | block | block |    written by the blocks
    level 1   |       |       |       |       |
    level 2   |               |               |    written by later stages of a run: until then,
    level 3   |                               |    downsampled here from what is done; 0 elsewhere
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np
from cachetools import LRUCache

from bigunet.blocks import BlockGrid
from bigunet.engine.on_demand import OnDemand
from bigunet.engine.wishes import Wish
from bigunet.geometry import Box, Point, ceil_div
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.pyramid import Voxels
from bigunet.io.output.writer import OutputWriter
from bigunet.previewing.blocks_done import BlocksDone

_CACHE_BYTES = 2**28
_SCREEN = (1280, 2048)
"""Pixels that a viewer shows along the last two axes."""
_MOST_IN_VIEW = 24
"""Blocks on a screen; if a level shows more, looking at it starts none."""

_Key = tuple[int, Point]


class ComputedOutput:
    """An output of a run, with its blocks on request. Several threads may use it.

    Boxes are in voxels of a level of the output, along its canonical axes. Voxels have the
    channels in front, if there are any.

    Parameters
    ----------
    output : OutputImage
    blocks : OnDemand
    done : BlocksDone
    groups_done : frozenset of int
        Groups of levels after the first that are written whole.
    """

    def __init__(
        self,
        output: OutputImage,
        blocks: OnDemand,
        done: BlocksDone,
        groups_done: frozenset[int] = frozenset(),
    ) -> None:
        self.output = output
        self._writer = OutputWriter(output)
        self._blocks = blocks
        self._done = done
        self._written = frozenset(
            level for group in (0, *groups_done) for level in output.layout.groups[group]
        )
        self._cells: LRUCache[_Key, Voxels] = LRUCache(_CACHE_BYTES, getsizeof=lambda v: v.nbytes)
        self._num_heard = 0
        self._lock = threading.Lock()
        done.listen(self._forget)

    def compute(self, level: int, box: Box) -> Voxels:
        """The voxels of a box, when all blocks below it are computed.

        Raises
        ------
        BigUNetError
            If a block fails, or the blocks were closed.
        """
        wishes = self.ask(level, box)
        try:
            for wish in wishes:
                wish.future.result()
        finally:
            for wish in wishes:
                self._blocks.drop(wish)
        return self.read(level, box)

    def ask(self, level: int, box: Box) -> list[Wish]:
        """Ask for the blocks below a box, of which the first in C order is computed first."""
        below = list(self._done.grid.overlapping(self._at_level_0(level, box))) if box.size else []
        return [self._blocks.ask(index) for index in reversed(below)]

    def drop(self, wishes: list[Wish]) -> None:
        """Take requests back."""
        for wish in wishes:
            self._blocks.drop(wish)

    def is_final(self, level: int, box: Box) -> bool:
        """Whether all blocks below a box are done."""
        return self._done.all_in(self._at_level_0(level, box))

    def starts_work(self, level: int, chunk: Point) -> bool:
        """Whether to compute what is looked at: on level 0, and where a screen shows few blocks.

        Parameters
        ----------
        level : int
        chunk : tuple of int
            Voxels that a viewer asks for at a time, along the canonical axes.
        """
        grid, factor = self._done.grid, self.output.layout.levels[level].factor
        screen = (1,) * (grid.region.ndim - len(_SCREEN)) + _SCREEN
        seen = (
            min(n, ceil_div(max(c, s) * f, b))
            for n, c, s, f, b in zip(grid.shape, chunk, screen, factor, grid.block_shape)
        )
        return level == 0 or math.prod(seen) <= _MOST_IN_VIEW

    def read(self, level: int, box: Box) -> Voxels:
        """The voxels of a box as far as they are computed; all others are 0.

        Raises
        ------
        ImageError
            If a file of the output cannot be read.
        """
        values = np.zeros((*self._channels, *box.shape), self._writer.dtype)
        for cell in self._grid(level).overlapping(box) if box.size else ():
            part = self._grid(level).box(cell).intersection(box)
            if (voxels := self._part(level, cell, part)) is not None:
                values[self._within(part, box)] = voxels
        return values

    def _part(self, level: int, cell: Point, part: Box) -> Voxels | None:
        """The voxels of a part of a cell; None if nothing below it is done."""
        if not self._done.any_in(self._at_level_0(level, part)):
            return None
        if level in self._written:
            return self._writer.read_box(level, part)
        return self._downsampled(level, cell)[self._within(part, self._grid(level).box(cell))]

    def _downsampled(self, level: int, cell: Point) -> Voxels:
        """The voxels of a cell, made of the level before as far as that is there."""
        with self._lock:
            known, heard = self._cells.get((level, cell)), self._num_heard
        if known is not None:
            return known
        finer = self.output.layout.finer(self._grid(level).box(cell), level)
        values = self._writer.downsampled(self.read(level - 1, finer), level)
        with self._lock:
            # A block that ended meanwhile may be missing in these values.
            if heard == self._num_heard and values.nbytes <= _CACHE_BYTES:
                self._cells[level, cell] = values
        return values

    def _forget(self, index: Point) -> None:
        """Forget all cells above a block that has just ended."""
        above = [*self._above(self._done.grid.box(index))]
        with self._lock:
            self._num_heard += 1
            for key in above:
                self._cells.pop(key, None)

    def _above(self, box: Box) -> Iterator[_Key]:
        for level in range(1, len(self.output.layout.levels)):
            box = self.output.layout.coarser(box, level)
            if not box.size:
                return
            if level not in self._written:
                yield from ((level, cell) for cell in self._grid(level).overlapping(box))

    def _grid(self, level: int) -> BlockGrid:
        """Cells of a level: the files of blocks where they are written, else chunks."""
        described = self.output.layout.levels[level]
        cell = described.shard if level in self._written else described.chunk
        return BlockGrid(Box.of_shape(described.shape), cell)

    def _at_level_0(self, level: int, box: Box) -> Box:
        factor, shape = self.output.layout.levels[level].factor, self.output.layout.shape
        start = tuple(a * f for a, f in zip(box.start, factor))
        return Box(start, tuple(min(b * f, n) for b, f, n in zip(box.stop, factor, shape)))

    @property
    def _channels(self) -> Point:
        return (self.output.num_channels,) if self.output.has_channels else ()

    def _within(self, part: Box, outer: Box) -> tuple[slice, ...]:
        return (slice(None),) * self.output.has_channels + part.within(outer)
