"""Split objects of a whole array in plain Python: every distance and every path is looked at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from bigunet.geometry import Point
from bigunet.objects.split_rule import SplitRule


def split_whole(
    inside: np.ndarray, split: SplitRule, *, connectivity: int, smallest: int
) -> np.ndarray:
    """Ids of one frame, in the order of the first voxel of each object."""
    graph = _Graph(inside, connectivity)
    depth = _depths(inside, split)
    voxel = np.float32(min(split.steps(inside.ndim)))
    seeds = set()
    for place in graph.voxels:
        most = graph.most(depth, place, split.reach)
        if depth[place] >= min(np.float32(split.neck) * most, most - voxel):
            seeds.add(place)
    for _ in range(split.merge):
        seeds |= {w for v in seeds for w in graph.neighbours(v)}
    mask = np.zeros(inside.shape, bool)
    for place in seeds:
        mask[place] = True
    structure = ndimage.generate_binary_structure(inside.ndim, connectivity)
    return _in_order(graph.spread(ndimage.label(mask, structure)[0]), smallest)


class _Graph:
    """The voxels of the objects, and which are neighbours."""

    def __init__(self, inside: np.ndarray, connectivity: int) -> None:
        self.voxels = {tuple(map(int, v)) for v in np.argwhere(inside)}
        steps = itertools.product((-1, 0, 1), repeat=inside.ndim)
        self.moves = [m for m in steps if 0 < np.count_nonzero(m) <= connectivity]

    def neighbours(self, voxel: Point) -> Iterator[Point]:
        for move in self.moves:
            other = tuple(a + b for a, b in zip(voxel, move))
            if other in self.voxels:
                yield other

    def most(self, depth: np.ndarray, voxel: Point, reach: int) -> np.float32:
        known = front = {voxel}
        for _ in range(reach):
            front = {w for v in front for w in self.neighbours(v)} - known
            known = known | front
        return max((depth[v] for v in known), default=np.float32(0))

    def spread(self, ids: np.ndarray) -> np.ndarray:
        ids = ids.copy()
        while True:
            got = {}
            for voxel in self.voxels:
                around = [ids[w] for w in self.neighbours(voxel) if ids[w]]
                if not ids[voxel] and around:
                    got[voxel] = min(around)
            if not got:
                return ids
            for voxel, number in got.items():
                ids[voxel] = number


def _depths(inside: np.ndarray, split: SplitRule) -> np.ndarray:
    depth = np.full(inside.shape, float(split.radius))
    depth[~inside] = 0
    outside = np.argwhere(~inside)
    for voxel in np.argwhere(inside):
        apart = (outside - voxel) * np.array(split.steps(inside.ndim))
        nearest = np.sqrt((apart**2).sum(1)).min(initial=np.inf)
        depth[tuple(voxel)] = min(split.radius, nearest)
    return depth.astype(np.float32)


def _in_order(ids: np.ndarray, smallest: int) -> np.ndarray:
    values, firsts, sizes = np.unique(ids, return_index=True, return_counts=True)
    large = [n for n in np.argsort(firsts) if values[n] and sizes[n] >= smallest]
    result = np.zeros(ids.shape, np.uint32)
    for number, n in enumerate(large, start=1):
        result[ids == values[n]] = number
    return result
