"""Warping error: pixels that still differ after the true borders were bent.

Bending may move the borders of the truth, but it keeps the topology: no object or hole appears,
vanishes, splits or merges. So the pixels that remain are errors in the topology.
"""

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
"""Indices in ``_RING`` of the neighbours over an edge; the others are neighbours over a corner."""


@dataclass(frozen=True, slots=True)
class Warping:
    """Number of pixels that differ after warping. Planes can be added.

    Parameters
    ----------
    pixels : int
        All pixels of the plane.
    mismatches : int
        Pixels that still differ after warping.
    splits, merges : int
        Mismatches that split an object of the truth, or merge two objects.
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
        """Share of the pixels that are mismatches: the warping error."""
        return self.mismatches / self.pixels if self.pixels else 0.0

    @property
    def split_merge_error(self) -> float:
        """Share of the pixels that split or merge objects, as in the ISBI 2012 challenge."""
        return (self.splits + self.merges) / self.pixels if self.pixels else 0.0


def warping(
    prediction: np.ndarray,
    truth: np.ndarray,
    *,
    certainty: np.ndarray | None = None,
    radius: int = 20,
) -> Warping:
    """Warp the truth towards the prediction, and count the pixels that still differ.

    Parameters
    ----------
    prediction, truth : ndarray of bool, (y, x)
        True is interior, which is connected over edges. False is border, which is connected over
        corners, too. Outside the plane is border.
    certainty : ndarray of float, (y, x), optional
        As for :func:`warp`.
    radius : int
        Two pixels of the interior belong to one object if they are connected within this many
        pixels of the mismatch. Without this limit, a gap in a ring would not count as a split.

    Raises
    ------
    OptionError
        If the arrays are no planes of bool of equal shape.

    References
    ----------
    Jain et al.: Boundary learning by optimization with topological constraints, CVPR 2010,
    doi:10.1109/CVPR.2010.5539950.
    """
    warped = warp(prediction, truth, certainty=certainty)
    wrong = np.argwhere(warped != prediction)
    splits = merges = 0
    for y, x in wrong.tolist():
        if _touched_objects(warped, y, x, radius) > 1:
            splits += bool(warped[y, x])
            merges += not warped[y, x]
    return Warping(prediction.size, len(wrong), splits, merges)


def warp(
    prediction: np.ndarray, truth: np.ndarray, *, certainty: np.ndarray | None = None
) -> np.ndarray:
    """Flip pixels of the truth to their value in the prediction, as far as its topology allows.

    A pixel that differs is flipped if it is simple: the flip makes no object or hole appear,
    vanish, split or merge. Rounds over the remaining pixels go on until nothing changes.

    Parameters
    ----------
    prediction, truth : ndarray of bool, (y, x)
    certainty : ndarray of float, (y, x), optional
        Pixels of higher certainty are tried first. An example is the distance of a probability
        from its threshold. The default is the distance to the nearest pixel of the other value in
        the prediction. The order decides which of many equally legal warpings is the result.

    Returns
    -------
    ndarray of bool, (y, x)

    Raises
    ------
    OptionError
        If the arrays are no planes of bool of equal shape.
    """
    _check_planes(prediction, truth, certainty)
    order = _depth(prediction) if certainty is None else np.asarray(certainty, np.float64)
    start, goal = np.pad(truth, 1), np.pad(prediction, 1)
    differ = np.flatnonzero(start.reshape(-1) != goal.reshape(-1))
    falling = np.argsort(-np.pad(order, 1).reshape(-1)[differ], kind="stable")
    pixels = bytearray(start.tobytes())
    _flip_simple(pixels, differ[falling].tolist(), start.shape[1])
    return np.frombuffer(bytes(pixels), bool).reshape(start.shape)[1:-1, 1:-1]


def _flip_simple(pixels: bytearray, candidates: list[int], row: int) -> None:
    """Flip the candidates that are simple, in rounds that keep their order.

    A pixel that is not simple can become simple only when a neighbour flips. Then it is tried
    again: in the same round if its turn is still to come, else in the next round.
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

    A pixel is simple if its ring has exactly one component of interior that touches the pixel
    over an edge, and exactly one component of border.
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
    """Number of objects that touch a pixel, within a window, if the pixel itself is border."""
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


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest pixel of the other value inside the plane."""
    inner = ndimage.distance_transform_edt(np.pad(mask, 1, constant_values=True))
    outer = ndimage.distance_transform_edt(np.pad(~mask, 1, constant_values=True))
    return np.asarray(np.where(mask, inner[1:-1, 1:-1], outer[1:-1, 1:-1]))


def _check_planes(prediction: np.ndarray, truth: np.ndarray, certainty: np.ndarray | None) -> None:
    check_shapes(truth, prediction)
    for name, mask in (("truth", truth), ("segmentation", prediction)):
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise OptionError(f"the {name} is {mask.dtype} {mask.shape}; give a plane of bool")
    if certainty is not None and certainty.shape != prediction.shape:
        raise OptionError(
            f"the certainty is {certainty.shape} and the segmentation {prediction.shape}; give "
            "one per pixel"
        )
