"""Warping error: what of a plane's topology no bending of the true borders can explain."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from bigunet.errors import OptionError
from bigunet.labels import connected
from bigunet.metrics.overlap import check_shapes

_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_FACES = (1, 3, 5, 7)
"""Places in the ring of the neighbours over an edge; the others are over a corner."""


@dataclass(frozen=True, slots=True)
class Warping:
    """Pixels that differ after warping, by what they do to the topology; planes add up.

    Parameters
    ----------
    pixels : int
        Of the plane.
    mismatches : int
        Those that still differ.
    splits, merges : int
        Those of them that part an object of the truth, or join two.
    """

    pixels: int = 0
    mismatches: int = 0
    splits: int = 0
    merges: int = 0

    def __add__(self, other: Warping) -> Warping:
        return Warping(
            self.pixels + other.pixels,
            self.mismatches + other.mismatches,
            self.splits + other.splits,
            self.merges + other.merges,
        )

    @property
    def error(self) -> float:
        """Share of the pixels that differ: the warping error."""
        return self.mismatches / self.pixels if self.pixels else 0.0

    @property
    def split_merge_error(self) -> float:
        """Share of the pixels that split or merge, as the ISBI 2012 challenge counted it."""
        return (self.splits + self.merges) / self.pixels if self.pixels else 0.0


def warping(
    found: np.ndarray,
    truth: np.ndarray,
    *,
    certainty: np.ndarray | None = None,
    radius: int = 20,
) -> Warping:
    """Warp the truth towards what was found, and count what still differs.

    Parameters
    ----------
    found, truth : ndarray of bool, (y, x)
        True is interior, connected over edges; the borders are connected over corners too. What
        lies outside of the plane is border.
    certainty : ndarray of float, (y, x), optional
        As of :func:`warp`.
    radius : int
        Two parts of the interior are of one object if they meet within so many pixels of the
        mismatch: else a hole in a ring would not count as its split.

    Raises
    ------
    OptionError
        If the arrays are no planes of bool of equal shape.

    References
    ----------
    Jain et al.: Boundary learning by optimization with topological constraints, CVPR 2010,
    doi:10.1109/CVPR.2010.5539950.
    """
    warped = warp(found, truth, certainty=certainty)
    wrong = np.argwhere(warped != found)
    splits = merges = 0
    for y, x in wrong.tolist():
        if _touched_objects(warped, y, x, radius) > 1:
            splits += bool(warped[y, x])
            merges += not warped[y, x]
    return Warping(found.size, len(wrong), splits, merges)


def warp(
    found: np.ndarray, truth: np.ndarray, *, certainty: np.ndarray | None = None
) -> np.ndarray:
    """The truth, with all pixels flipped to what was found that keep its topology.

    Pixel after pixel that differs is flipped where it is simple: where no object or hole appears,
    vanishes, splits or merges. Rounds over the rest go on until nothing changes.

    Parameters
    ----------
    found, truth : ndarray of bool, (y, x)
    certainty : ndarray of float, (y, x), optional
        Pixels of higher certainty are tried first, such as the distance of a probability from its
        threshold; by default, the distance to the nearest pixel of ``found`` that is otherwise.
        The order decides which of many equally legal warpings is found.

    Returns
    -------
    ndarray of bool, (y, x)

    Raises
    ------
    OptionError
        If the arrays are no planes of bool of equal shape.
    """
    _check_planes(found, truth, certainty)
    order = _depth(found) if certainty is None else np.asarray(certainty, np.float64)
    start, goal = np.pad(truth, 1), np.pad(found, 1)
    differ = np.flatnonzero(start.reshape(-1) != goal.reshape(-1))
    falling = np.argsort(-np.pad(order, 1).reshape(-1)[differ], kind="stable")
    pixels = bytearray(start.tobytes())
    _flip_simple(pixels, differ[falling].tolist(), start.shape[1])
    return np.frombuffer(bytes(pixels), bool).reshape(start.shape)[1:-1, 1:-1]


def _flip_simple(pixels: bytearray, candidates: list[int], row: int) -> None:
    """Flip the candidates that are simple, in rounds that keep their order.

    A pixel that is not simple stays so until a neighbour flips: only then is it tried again, in
    the same round if its turn is yet to come, else in the next.
    """
    ring = [dy * row + dx for dy, dx in _RING]
    simple = _simple_points()
    rank = {pixel: k for k, pixel in enumerate(candidates)}
    count = len(candidates)
    queue = list(range(count))  # turns: round * count + rank; ascending is a heap
    waiting = set(candidates)
    while queue:
        turn = heapq.heappop(queue)
        pixel = candidates[turn % count]
        waiting.discard(pixel)
        code = 0
        for k, step in enumerate(ring):
            code |= pixels[pixel + step] << k
        if not simple[code]:
            continue
        pixels[pixel] ^= 1
        del rank[pixel]
        for step in ring:
            other = pixel + step
            if other in rank and other not in waiting:
                waiting.add(other)
                begin = turn - turn % count
                again = begin + rank[other]
                heapq.heappush(queue, again if again > turn else again + count)


@cache
def _simple_points() -> tuple[bool, ...]:
    """Whether a pixel is simple, for each of the 256 neighbourhoods; bit k is ``_RING[k]``.

    Its ring must have one part of interior that touches it over an edge, and one of border that
    touches it at all.
    """
    table = []
    for code in range(256):
        ring = np.zeros((3, 3), bool)
        for k, (dy, dx) in enumerate(_RING):
            ring[1 + dy, 1 + dx] = code >> k & 1
        interior = ndimage.label(ring)[0]
        border = ~ring
        border[1, 1] = False
        _, num_borders = ndimage.label(border, np.ones((3, 3)))
        touching = {int(interior[1 + _RING[k][0], 1 + _RING[k][1]]) for k in _FACES} - {0}
        table.append(len(touching) == 1 and num_borders == 1)
    return tuple(table)


def _touched_objects(interior: np.ndarray, y: int, x: int, radius: int) -> int:
    """Objects of the window around a pixel that touch it, were the pixel border."""
    top, left = max(0, y - radius), max(0, x - radius)
    window = interior[top : y + radius + 1, left : x + radius + 1].copy()
    y, x = y - top, x - left
    window[y, x] = False
    beside = [
        (y + dy, x + dx)
        for dy, dx in (_RING[k] for k in _FACES)
        if 0 <= y + dy < window.shape[0] and 0 <= x + dx < window.shape[1]
    ]
    if sum(bool(window[place]) for place in beside) < 2:
        return 1
    objects = connected(window)
    return len({int(objects[place]) for place in beside} - {0})


def _depth(found: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest that is otherwise; outside, none is."""
    inner = ndimage.distance_transform_edt(np.pad(found, 1, constant_values=True))
    outer = ndimage.distance_transform_edt(np.pad(~found, 1, constant_values=True))
    return np.asarray(np.where(found, inner[1:-1, 1:-1], outer[1:-1, 1:-1]))


def _check_planes(found: np.ndarray, truth: np.ndarray, certainty: np.ndarray | None) -> None:
    check_shapes(truth, found)
    for name, mask in (("truth", truth), ("segmentation", found)):
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise OptionError(f"the {name} is {mask.dtype} {mask.shape}; give a plane of bool")
    if certainty is not None and certainty.shape != found.shape:
        raise OptionError(
            f"the certainty is {certainty.shape} and the segmentation {found.shape}; give one "
            "per pixel"
        )
