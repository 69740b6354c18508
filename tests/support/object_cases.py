"""Patterns that are hard to number block by block, and what numbering the whole in numpy gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage

from bigunet.blocks import BlockGrid
from bigunet.geometry import Point
from bigunet.objects.block_fragments import BlockFragments, fragments_of_labels, label_block
from bigunet.objects.rule import ObjectRule

OBJECT, BORDER = 1, 2


def spiral(shape: Point) -> np.ndarray:
    """One arm that turns inwards in each plane, a voxel wide, with a voxel between its turns."""
    plane = np.zeros((1, 1, *shape)[-2:], bool)
    place, step = np.array([0, 0]), np.array([0, 1])

    def free(where: np.ndarray) -> bool:
        inside = all(0 <= w < n for w, n in zip(where, plane.shape))
        return inside and not plane[tuple(where)]

    plane[0, 0] = True
    turned = 0
    while turned < 2:
        ahead = place + step
        beyond = ahead + step
        if free(ahead) and (
            free(beyond) or any(not 0 <= w < n for w, n in zip(beyond, plane.shape))
        ):
            place, turned = ahead, 0
            plane[tuple(place)] = True
        else:
            step, turned = np.array([step[1], -step[0]]), turned + 1
    return np.broadcast_to(plane, shape).copy() if len(shape) > 1 else plane.reshape(shape)


def comb(shape: Point) -> np.ndarray:
    """Teeth along the first axis that meet in its last voxels only."""
    mask = np.zeros(shape, bool)
    mask[..., ::2] = True
    mask[-1:] = True
    return mask


def diagonals(shape: Point) -> np.ndarray:
    """Lines of voxels that touch at corners only, along the diagonal of all axes."""
    return np.asarray(np.all(np.diff(np.indices(shape), axis=0) % 4 == 0, axis=0))


def checkerboard(shape: Point) -> np.ndarray:
    return np.asarray(np.indices(shape).sum(0) % 2 == 0)


def rings(shape: Point) -> np.ndarray:
    """Shells around one another: each is an object that goes through many blocks."""
    from_border = [np.minimum(i, n - 1 - i) for i, n in zip(np.indices(shape), shape)]
    return np.asarray(np.min(from_border, axis=0) % 2 == 0)


PATTERNS: tuple[Callable[[Point], np.ndarray], ...] = (
    spiral,
    comb,
    checkerboard,
    diagonals,
    rings,
    lambda shape: np.ones(shape, bool),
    lambda shape: np.zeros(shape, bool),
)


@dataclass(frozen=True)
class Case:
    """Classes, the shape of blocks that they are cut into, and which voxels are neighbours.

    The last ``ndim`` axes are space; those before are frames.
    """

    classes: np.ndarray
    block_shape: Point
    connectivity: int = 1
    ndim: int = 2

    @property
    def frames(self) -> int:
        return self.classes.ndim - self.ndim

    @property
    def rule(self) -> ObjectRule:
        return ObjectRule(OBJECT, connectivity=self.connectivity, ndim=self.ndim)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Patterns with some voxels changed, in one to three axes; blocks from 1 voxel to too large.

    Before them are up to two axes of frames, of which a block may hold several.
    """
    ndim = draw(st.sampled_from([2, 3, 1]))
    connectivity = draw(st.integers(1, ndim))
    longest = {1: 60, 2: 16, 3: 8}[ndim]
    shape = tuple(draw(st.integers(2, longest)) for _ in range(ndim))
    if draw(st.integers(0, 9)) == 9:
        shape = (1, *shape[1:])
    frames = tuple(draw(st.sampled_from([(), (), (3,), (2, 3)])))
    shape = frames + shape
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    if draw(st.booleans()):
        pattern = draw(st.sampled_from(PATTERNS))
        mask = pattern(shape[-ndim:]) | np.zeros(shape, bool)
        mask ^= rng.random(shape) < draw(st.sampled_from([0, 0.02]))
    else:
        mask = rng.random(shape) < draw(st.sampled_from([0.1, 0.4, 0.6, 0.9]))
    others = np.where(rng.random(shape) < 0.7, BORDER, 0)
    dtype = draw(st.sampled_from(["u1", "i2", ">u4", "i8"]))
    classes = np.where(mask, OBJECT, others).astype(dtype)
    sides = [draw(st.sampled_from([3, 2, 5, 1, n, n + 2])) for n in shape]
    return Case(classes, tuple(sides), connectivity, ndim)


def blocks_of(case: Case, grid: BlockGrid) -> Iterator[BlockFragments]:
    """The fragments of every block, in C order."""
    for index in np.ndindex(*grid.shape):
        box = grid.box(index)
        labels = label_block(case.classes[box.within(grid.region)], case.rule)
        yield fragments_of_labels(labels, box, grid.region, ndim=case.ndim)


def components_of(case: Case) -> tuple[np.ndarray, int]:
    """Components that scipy finds in each frame, numbered through all frames, and their count."""
    structure = ndimage.generate_binary_structure(case.ndim, case.connectivity)
    components, count = np.zeros(case.classes.shape, int), 0
    for frame in np.ndindex(*case.classes.shape[: case.frames]):
        local, more = ndimage.label(case.classes[frame] == OBJECT, structure)
        components[frame] = np.where(local, local + count, 0)
        count += more
    return components, count


def numbered_whole(
    case: Case, *, border: int | None, border_width: int, smallest: int
) -> np.ndarray:
    """Number the objects of the whole, in plain numpy with scipy's components."""
    components, count = components_of(case)
    flat = components.ravel()
    sizes = np.bincount(flat, minlength=count + 1)
    _, firsts = np.unique(np.append(flat, np.arange(count + 1)), return_index=True)
    large = [one for one in range(1, count + 1) if sizes[one] >= smallest]
    ids = np.zeros(count + 1, np.uint32)
    for number, one in enumerate(sorted(large, key=lambda one: firsts[one]), start=1):
        ids[one] = number
    numbered = ids[components]
    if border is None:
        return numbered
    for frame in np.ndindex(*case.classes.shape[: case.frames]):
        free = np.asarray(case.classes[frame] == border)
        numbered[frame] = _with_nearest(numbered[frame], free, border_width)
    return numbered


def _with_nearest(ids: np.ndarray, free: np.ndarray, width: int) -> np.ndarray:
    """Each free voxel gets the nearest id within ``width`` along each axis; ties to the lower."""
    result = ids.copy()
    ours, theirs = np.argwhere(free & (ids == 0)), np.argwhere(ids > 0)
    if not len(ours) or not len(theirs):
        return result
    apart = np.abs(ours[:, None] - theirs[None])
    far = np.iinfo(np.int64).max
    rank = (apart**2).sum(-1) * (int(ids.max()) + 1) + ids[tuple(theirs.T)].astype(np.int64)
    rank[(apart > width).any(-1)] = far
    best = rank.argmin(1)
    reached = rank.min(1) < far
    result[tuple(ours[reached].T)] = ids[tuple(theirs[best[reached]].T)]
    return result
