"""Which fragments of neighbouring blocks touch: over the faces, edges and corners of the blocks.

The voxels of an edge or a corner of a block are in its faces as well, so faces say it all. Each
block meets the neighbours that come later in C order: at the step ``(0, 1)`` a face, and at
``(1, -1)`` and ``(1, 1)`` a corner.

::

               +-------+-------+       steps of block a, over edges of a plane:
               |   a   | (0,1) |
       +-------+-------+-------+       - the part of a at (1,-1) is the first voxel of its high
       | (1,-1)| (1,0) | (1,1) |         face of axis 0
       +-------+-------+-------+       - it meets the last voxel of the other's low face of axis 0

Between the parts of two blocks, voxels touch also where they are one voxel apart along the part.
"""

from __future__ import annotations

import functools
import itertools
import operator
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, OptionError
from bigunet.geometry import Point
from bigunet.objects.block_fragments import BlockFragments

_Where = tuple[slice | int | EllipsisType, ...]
"""Index of a part of an array."""


@dataclass(frozen=True, slots=True)
class WaitingFaces:
    """Parts of high faces that wait, compressed, for the later neighbour that they meet.

    Parameters
    ----------
    grid : BlockGrid
    num_axes : int
        Objects are connected along the last ``num_axes`` axes of the grid.
    connectivity : int
        1 over faces, 2 over edges as well, 3 over corners as well; at most ``num_axes``.

    Raises
    ------
    OptionError
        If there is no such connectivity.
    """

    grid: BlockGrid
    num_axes: int
    connectivity: int
    parts: dict[tuple[Point, Point], _WaitingPart] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.connectivity <= self.num_axes:
            raise OptionError(
                f"connectivity {self.connectivity} for objects of {self.num_axes} axes; "
                f"give 1 to {self.num_axes}"
            )

    def edges_to(
        self, index: Point, offset: int, fragments: BlockFragments
    ) -> Iterator[np.ndarray]:
        """Pairs of fragments that touch between a block and those before; its own parts then wait.

        Yields
        ------
        ndarray of int64, (2, num_pairs)
            One for each block before that the block meets, with each pair once.
        """
        self._check(index, fragments)
        num_blocks = self.grid.shape[-self.num_axes :]
        frame, place = index[: -self.num_axes], index[-self.num_axes :]
        for meeting in _meetings(self.num_axes, self.connectivity):
            waited = self.parts.pop((index, meeting.step), None)
            if waited is not None:
                high = fragments.low_faces[meeting.axis][meeting.of_later]
                low = waited.labels().reshape(high.shape)
                pairs = _touching(low, high, meeting.shifts, fragments.num_fragments + 1)
                yield pairs + np.array([[waited.offset - 1], [offset - 1]])
            later = tuple(map(operator.add, place, meeting.step))
            if all(0 <= i < n for i, n in zip(later, num_blocks)):
                part = fragments.high_faces[meeting.axis][meeting.of_earlier]
                self.parts[frame + later, meeting.step] = _WaitingPart.of(offset, part)

    def fragments(self) -> np.ndarray:
        """The fragments of all parts that wait, ascending, each once: int64."""
        parts = self.parts.values()
        fragments = [part.present.astype(np.int64) + (part.offset - 1) for part in parts]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *fragments]))

    def _check(self, index: Point, fragments: BlockFragments) -> None:
        shape = self.grid.box(index).shape
        faces = [face.shape for face in fragments.low_faces]
        first = len(shape) - self.num_axes
        expected = [(*shape[:axis], *shape[axis + 1 :]) for axis in range(first, len(shape))]
        if first < 0 or faces != expected:
            raise GeometryError(
                f"faces of shape {faces} are not of block {index}, of shape {shape}; "
                "give the blocks of one grid, in C order"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _WaitingPart:
    """Part of a high face: parts are mostly runs of one label, so that compressed they are small.

    Attributes
    ----------
    offset : int
        Number of fragments in all blocks before that of the part.
    present : ndarray of unsigned int
        The labels of the part, without 0, each once.
    content : bytes
        The labels of all voxels, compressed.
    """

    offset: int
    present: np.ndarray
    content: bytes

    @classmethod
    def of(cls, offset: int, part: np.ndarray) -> _WaitingPart:
        flat = part.ravel()
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        present = np.unique(np.concatenate([flat[:1], flat[changes]]))
        return cls(offset, present[present > 0], zlib.compress(flat.tobytes(), 1))

    def labels(self) -> np.ndarray:
        return np.frombuffer(zlib.decompress(self.content), self.present.dtype)


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Where two blocks meet, of which one is at ``step`` from the other.

    Attributes
    ----------
    step : tuple of int
    axis : int
        Of the faces that hold the parts: the first axis of the step.
    of_earlier, of_later : tuple of slice, int or ellipsis
        Where the parts are in the high face of the earlier block, and in the low face of the later.
    shifts : list of tuple of int
        How far apart along the parts two voxels may be, so that they still touch.
    """

    step: Point
    axis: int
    of_earlier: _Where
    of_later: _Where
    shifts: list[Point]


@functools.cache
def _meetings(num_axes: int, connectivity: int) -> list[_Meeting]:
    """The meetings with the neighbours that come later in C order."""
    meetings = []
    for step in _moves(num_axes, connectivity):
        if step > (0,) * num_axes:
            axis = step.index(1)
            others = step[:axis] + step[axis + 1 :]
            of_earlier = _where(others, {-1: 0, 0: slice(None), 1: -1})
            of_later = _where(others, {-1: -1, 0: slice(None), 1: 0})
            free = step.count(0)
            shifts = _moves(free, connectivity - (num_axes - free))
            meetings.append(_Meeting(step, axis, of_earlier, of_later, shifts))
    return meetings


def _where(moves: Point, ends: Mapping[int, slice | int]) -> _Where:
    """Index of the part of an array at one end of each axis of space, by the move along it."""
    return (..., *(ends[move] for move in moves))


def _moves(num_axes: int, most: int) -> list[Point]:
    """Moves by at most one voxel along at most ``most`` axes."""
    moves = itertools.product((-1, 0, 1), repeat=num_axes)
    return [move for move in moves if num_axes - move.count(0) <= most]


def _touching(
    low: np.ndarray, high: np.ndarray, shifts: Sequence[Point], factor: int
) -> np.ndarray:
    """Each pair of labels that touch between two parts, once: int64, (2, num_pairs)."""
    codes = [_codes(*_shifted(low, high, shift), factor) for shift in shifts]
    each = codes[0] if len(codes) == 1 else np.unique(np.concatenate(codes))
    pairs = np.empty((2, len(each)), np.int64)
    np.divmod(each, factor, out=(pairs[0], pairs[1]))
    return pairs


def _shifted(low: np.ndarray, high: np.ndarray, shift: Point) -> tuple[np.ndarray, np.ndarray]:
    """The labels that lie at one place if ``high`` is moved back by ``shift``."""
    if not any(shift):
        return low, high
    first, last, whole = slice(None, -1), slice(1, None), slice(None)
    ours = _where(shift, {-1: last, 0: whole, 1: first})
    theirs = _where(shift, {-1: first, 0: whole, 1: last})
    return low[ours], high[theirs]


def _codes(low: np.ndarray, high: np.ndarray, factor: int) -> np.ndarray:
    """A number for each pair of labels at one place, once: int64."""
    low, high = low.ravel(), high.ravel()
    both = np.flatnonzero((low > 0) & (high > 0))
    return np.unique(low[both].astype(np.int64) * factor + high[both])
