"""Joins the fragments of all blocks into objects, where they touch over the faces of blocks.

Fragments are numbered through the whole volume from 0: the fragments of all blocks before, in C
order of the blocks, and then the place of the fragment in its block. Memory holds a few numbers for
each fragment and for each pair of fragments that touch. It also holds the faces that wait for the
next block, compressed: at most those of one layer of blocks across the first axis.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError
from bigunet.geometry import Point
from bigunet.objects.block_fragments import BlockFragments


@dataclass(frozen=True, slots=True, eq=False)
class StitchedFragments:
    """The objects of a volume: each is named by its lowest fragment.

    Attributes
    ----------
    offsets : ndarray of int64, (num_blocks + 1,)
        Number of fragments in all blocks before, in C order of the blocks.
    sizes : ndarray of int64, (num_fragments,)
        Voxels of the whole object, at its lowest fragment; 0 at its other fragments.
    first_voxels : ndarray of int64, (num_fragments,)
        First voxel of the whole object in C order of the volume, at its lowest fragment.
    joined, lowest : ndarray of int64, (num_joined,)
        Fragments that touch others over faces, in ascending order, and the lowest fragment of
        their object.
    """

    offsets: np.ndarray
    sizes: np.ndarray
    first_voxels: np.ndarray
    joined: np.ndarray
    lowest: np.ndarray

    @property
    def num_fragments(self) -> int:
        return self.sizes.size

    @property
    def num_objects(self) -> int:
        return self.num_fragments - int(np.count_nonzero(self.joined != self.lowest))


def stitch(grid: BlockGrid, blocks: Iterable[BlockFragments]) -> StitchedFragments:
    """Join the fragments of all blocks into objects.

    Parameters
    ----------
    grid : BlockGrid
    blocks : iterable of BlockFragments
        Those of every block, in C order of the blocks. Each is taken once, and only its numbers are
        kept.

    Raises
    ------
    GeometryError
        If there are not as many blocks as the grid has, or a face does not fit its neighbour.
    """
    counts = [0]
    sizes, firsts, edges = [_NONE], [_NONE], [_NO_EDGES]
    waiting = _WaitingFaces(grid)
    remaining = iter(blocks)
    for index, fragments in zip(np.ndindex(*grid.shape), remaining):
        edges += waiting.edges_to(index, counts[-1], fragments)
        sizes.append(fragments.sizes)
        firsts.append(fragments.first_voxels)
        counts.append(counts[-1] + fragments.num_fragments)
    if len(counts) != grid.num_blocks + 1 or next(remaining, None) is not None:
        raise GeometryError(
            f"fragments of {len(counts) - 1} blocks or more for a grid of {grid.num_blocks}; "
            "give those of each block once"
        )
    return _joined(
        np.array(counts, np.int64),
        np.concatenate(sizes),
        np.concatenate(firsts),
        np.concatenate(edges, axis=1),
    )


_NONE = np.zeros(0, np.int64)
_NO_EDGES = np.zeros((2, 0), np.int64)


@dataclass(frozen=True, slots=True)
class _WaitingFaces:
    """High faces that wait for their upper neighbour, by its index and the axis."""

    grid: BlockGrid
    faces: dict[tuple[Point, int], tuple[int, np.dtype, bytes]] = field(default_factory=dict)

    def edges_to(
        self, index: Point, offset: int, fragments: BlockFragments
    ) -> Iterator[np.ndarray]:
        """Pairs of fragments that touch over the low faces of a block; its high faces then wait.

        Yields
        ------
        ndarray of int64, (2, num_pairs)
            One for each axis, with each pair once.
        """
        self._check(index, fragments)
        for axis, (low, high) in enumerate(zip(fragments.low_faces, fragments.high_faces)):
            if index[axis] > 0:
                below, face_type, content = self.faces.pop((index, axis))
                face = np.frombuffer(zlib.decompress(content), face_type)
                yield _touching(face, low.ravel()) + np.array([[below - 1], [offset - 1]])
            if index[axis] + 1 < self.grid.shape[axis]:
                above = (*index[:axis], index[axis] + 1, *index[axis + 1 :])
                # Faces are mostly runs of one label: a layer of a large volume fits into memory.
                waits = offset, high.dtype, zlib.compress(high.tobytes(), 1)
                self.faces[above, axis] = waits

    def _check(self, index: Point, fragments: BlockFragments) -> None:
        shape = self.grid.box(index).shape
        for axis, face in enumerate(fragments.low_faces):
            if face.shape != (*shape[:axis], *shape[axis + 1 :]):
                raise GeometryError(
                    f"a face of shape {face.shape} is not of block {index}, of shape {shape}; "
                    "give the blocks of one grid, in C order"
                )


def _touching(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Each pair of labels that lie at one place of two faces, once: int64, (2, num_pairs)."""
    both = np.flatnonzero((low > 0) & (high > 0))
    factor = int(high.max(initial=0)) + 1
    codes = low[both].astype(np.int64) * factor + high[both]
    return np.stack(np.divmod(np.unique(codes), factor))


def _joined(
    offsets: np.ndarray, sizes: np.ndarray, firsts: np.ndarray, edges: np.ndarray
) -> StitchedFragments:
    """Join the fragments that edges connect; sizes and first voxels are changed in place."""
    joined, ends = np.unique(edges, return_inverse=True)
    first_ends, second_ends = ends.reshape(edges.shape).astype(np.int32)
    ones = np.ones(len(first_ends), np.int8)
    graph = coo_array((ones, (first_ends, second_ends)), shape=(len(joined), len(joined)))
    count, numbers = connected_components(graph, directed=True, connection="weak")
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(count))
    members = joined[order]
    lowest = members[starts]
    if count:  # reduceat takes no empty list
        total = np.add.reduceat(sizes[members], starts)
        sizes[joined] = 0
        sizes[lowest] = total
        firsts[lowest] = np.minimum.reduceat(firsts[members], starts)
    return StitchedFragments(offsets, sizes, firsts, joined, lowest[numbers])
