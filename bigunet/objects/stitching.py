"""Joins the fragments of all blocks into objects, where they touch between blocks.

Fragments are numbered through the whole volume from 0: the fragments of all blocks before, in C
order of the blocks, and then the place of the fragment in its block. Memory holds the faces that
wait for the next blocks, compressed, and the objects on them: those of about one layer of blocks
across the first axis. It also holds a few hundred thousand fragments that are joined at a time, and
the number of fragments of each block. It does not grow with the number of objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError
from bigunet.objects.block_fragments import BlockFragments
from bigunet.objects.joining import BATCH_SIZE, Joiner, StitchedFragments
from bigunet.objects.scratch import Scratch
from bigunet.objects.touching import WaitingFaces


def stitch(
    grid: BlockGrid,
    blocks: Iterable[BlockFragments],
    *,
    connectivity: int = 1,
    scratch: Scratch | None = None,
    batch_size: int = BATCH_SIZE,
) -> StitchedFragments:
    """Join the fragments of all blocks into objects.

    Parameters
    ----------
    grid : BlockGrid
    blocks : iterable of BlockFragments
        Those of every block, in C order of the blocks. Each is taken once. Each has faces along the
        axes of space, which are the last of the grid: nothing joins across the axes before.
    connectivity : int
        That of the fragments: 1 over faces, 2 over edges as well, 3 over corners as well.
    scratch : Scratch, optional
        Holds what is known of objects; by default, memory does.
    batch_size : int
        Fragments that are joined at a time, about. The objects do not depend on it.

    Raises
    ------
    GeometryError
        If there are not as many blocks as the grid has, or a face does not fit its neighbour.
    OptionError
        If the connectivity is below 1, or above the number of axes of space.
    OSError
        If the folder of the scratch has no space left.
    """
    offsets = np.zeros(grid.num_blocks + 1, np.int64)
    front = _Front(Joiner(scratch or Scratch(), batch_size), batch_size)
    waiting: WaitingFaces | None = None
    number, remaining = 0, iter(blocks)
    for index, fragments in zip(np.ndindex(*grid.shape), remaining):
        if waiting is None:
            waiting = WaitingFaces(grid, len(fragments.low_faces), connectivity)
        front.add(fragments, waiting.edges_to(index, front.end, fragments))
        number += 1
        offsets[number] = front.end
        if front.is_full:
            front.end_batch(waiting.fragments())
    if number < grid.num_blocks or next(remaining, None) is not None:
        raise GeometryError(
            f"fragments of {number} blocks or more for a grid of {grid.num_blocks}; "
            "give those of each block once"
        )
    front.end_batch(_NONE)
    return front.joiner.stitched(offsets)


_NONE = np.zeros(0, np.int64)
_NO_EDGES = np.zeros((2, 0), np.int64)


@dataclass(slots=True)
class _Front:
    """The fragments that wait for later blocks, and those of the batch that is collected.

    ``waiting`` are fragments of earlier batches, ascending, and ``objects`` the open object of
    each. The lists are of the batch: ``begin`` is its first fragment, and ``end`` the next one.
    """

    joiner: Joiner
    batch_size: int
    waiting: np.ndarray = field(default_factory=_NONE.copy)
    objects: np.ndarray = field(default_factory=_NONE.copy)
    begin: int = 0
    end: int = 0
    sizes: list[np.ndarray] = field(default_factory=lambda: [_NONE])
    firsts: list[np.ndarray] = field(default_factory=lambda: [_NONE])
    edges: list[np.ndarray] = field(default_factory=lambda: [_NO_EDGES])

    @property
    def is_full(self) -> bool:
        """Whether a batch is worth the copy of what is open, which is made at its end."""
        return self.end - self.begin >= max(self.batch_size, len(self.waiting))

    def add(self, fragments: BlockFragments, edges: Iterable[np.ndarray]) -> None:
        """Take the next block, and the pairs of its fragments and of earlier ones that touch."""
        self.sizes.append(fragments.sizes)
        self.firsts.append(fragments.first_voxels)
        self.edges += edges
        self.end += fragments.num_fragments

    def end_batch(self, waiting: np.ndarray) -> None:
        """Join what touches; objects stay open if they have one of the fragments that wait."""
        edges = self._nodes(np.concatenate(self.edges, axis=1))
        num_objects, objects = _connected(self.joiner.num_open + self.end - self.begin, edges)
        waiting_objects = objects[self._nodes(waiting)]
        is_open = np.zeros(num_objects, bool)
        is_open[waiting_objects] = True
        targets = self.joiner.end_batch(
            objects, np.concatenate(self.sizes), np.concatenate(self.firsts), is_open
        )
        self.waiting, self.objects = waiting, targets[waiting_objects]
        self.begin = self.end
        self.sizes, self.firsts, self.edges = [_NONE], [_NONE], [_NO_EDGES]

    def _nodes(self, fragments: np.ndarray) -> np.ndarray:
        """The nodes of fragments: first the open objects, then the fragments of the batch."""
        nodes = fragments - (self.begin - self.joiner.num_open)
        earlier = fragments < self.begin
        nodes[earlier] = self.objects[np.searchsorted(self.waiting, fragments[earlier])]
        return nodes


def _connected(num_nodes: int, edges: np.ndarray) -> tuple[int, np.ndarray]:
    """Number of components, and the component of each node, in the order of their first nodes.

    A node that stands for its component points to itself. Each round lets the larger ones of two
    such nodes with an edge point to the smaller one.
    """
    # Without scipy, of which the import takes longer than this for a million edges.
    nodes = np.arange(num_nodes, dtype=np.int32)
    roots, (first, second) = nodes.copy(), edges
    while True:
        ends = np.stack([roots[first], roots[second]])
        apart = ends[0] != ends[1]
        if not apart.any():
            break
        first, second = first[apart], second[apart]
        np.minimum.at(roots, ends.max(axis=0)[apart], ends.min(axis=0)[apart])
        while ((further := roots[roots]) != roots).any():
            roots = further
    is_root = roots == nodes
    numbers = np.cumsum(is_root, dtype=np.int32) - 1
    return int(is_root.sum()), numbers[roots]
