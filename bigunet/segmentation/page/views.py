"""Which parts of an output are shown: a plane, corners of blocks, the densest place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box, Point

ZOOM = 224
"""Length of an enlarged part, in voxels of the segmented level."""
_PLANES = 12
_CORNERS = 16


@dataclass(frozen=True, slots=True)
class Zoom:
    """An enlarged part.

    Parameters
    ----------
    title : str
    box : Box
        In voxels of level 0 of the output; one voxel thick along all axes but two.
    rows, columns : tuple of int
        Rows and columns of the part before which a block begins.
    """

    title: str
    box: Box
    rows: tuple[int, ...]
    columns: tuple[int, ...]


def zoom_at(grid: BlockGrid, leading: Point, centre: Sequence[int], title: str) -> Zoom:
    """The part around a place (y, x) of a plane, within the region of the grid."""
    plane = grid.region.shape[-2:]
    lengths = [min(ZOOM, n) for n in plane]
    start = [max(0, min(c - n // 2, size - n)) for c, n, size in zip(centre, lengths, plane)]
    stop = [a + n for a, n in zip(start, lengths)]
    box = Box((*leading, *start), (*(k + 1 for k in leading), *stop))
    rows, columns = (
        tuple(at - a for at in boundaries(grid, axis) if a < at < b)
        for axis, a, b in zip((-2, -1), start, stop)
    )
    return Zoom(title, box, rows, columns)


def side_view(grid: BlockGrid, leading: Point, centre: Sequence[int]) -> Zoom | None:
    """The part of a volume from the side, axes z and x, where blocks meet along z.

    None if no blocks meet along z, the last axis but two.

    Parameters
    ----------
    grid : BlockGrid
    leading : tuple of int
        A place along all axes but y and x.
    centre : (int, int)
        Place of the part along y and x.
    """
    met = boundaries(grid, -3) if grid.region.ndim > 2 else range(0)
    if not met:
        return None
    nearest = min(met, key=lambda at: abs(at - leading[-1]))
    shape = grid.region.shape
    spans = {}
    for axis, place in ((-3, nearest), (-1, centre[1])):
        length = min(ZOOM, shape[axis])
        first = max(0, min(place - length // 2, shape[axis] - length))
        spans[axis] = first, first + length
    (top, bottom), (left, right) = spans[-3], spans[-1]
    box = Box(
        (*leading[:-1], top, centre[0], left),
        (*(k + 1 for k in leading[:-1]), bottom, centre[0] + 1, right),
    )
    rows = tuple(at - top for at in met if top < at < bottom)
    columns = tuple(at - left for at in boundaries(grid, -1) if left < at < right)
    return Zoom("From the side, where blocks meet", box, rows, columns)


def drawn_shape(box: Box) -> tuple[int, int]:
    """Rows and columns of the picture of a box that is one voxel thick along all axes but two."""
    *others, height, width = box.shape
    return (others[-1] if others and others[-1] > 1 else height), width


def boundaries(grid: BlockGrid, axis: int) -> range:
    """Where blocks begin along an axis, except the first, in voxels of the region."""
    return range(grid.block_shape[axis], grid.region.shape[axis], grid.block_shape[axis])


def corner_places(grid: BlockGrid) -> list[tuple[int, int]]:
    """Places (y, x) where blocks meet in a plane, at most so many, evenly spread.

    If blocks meet along one axis only, they are the middles of these edges; if there is one block,
    there are none.
    """
    rows, columns = (_spread(boundaries(grid, axis), 4) for axis in (-2, -1))
    if not rows and not columns:
        return []
    height, width = grid.region.shape[-2:]
    pairs = [(y, x) for y in rows or [height // 2] for x in columns or [width // 2]]
    return pairs[:_CORNERS]


def shown_planes(shape: Point) -> list[Point]:
    """Some places along all axes but the last two: the middle first, then evenly spaced ones."""
    leading = shape[:-2]
    planes: list[Point] = [tuple(n // 2 for n in leading)]
    if leading:
        count = max(1, _PLANES // len(leading))
        spread = [_spread(range(n), count) for n in leading]
        longest = max(map(len, spread))
        for k in range(longest):
            planes.append(tuple(ks[min(k * len(ks) // longest, len(ks) - 1)] for ks in spread))
    return list(dict.fromkeys(planes))


def densest(foreground: np.ndarray, window: Sequence[int]) -> tuple[int, int]:
    """Centre (y, x) of the window with the most voxels of foreground, the first of several.

    Parameters
    ----------
    foreground : ndarray of bool, (y, x)
    window : (int, int)
        Its size, at least 1.
    """
    size = [min(n, length) for n, length in zip(window, foreground.shape)]
    sums = np.pad(foreground.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    h, w = size
    inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(y) + h // 2, int(x) + w // 2


def _spread(places: range, count: int) -> list[int]:
    """At most so many of them, evenly spaced, without the outermost where there are more."""
    if len(places) <= count:
        return list(places)
    return [places[(2 * k + 1) * len(places) // (2 * count)] for k in range(count)]
