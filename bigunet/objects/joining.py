"""Joins fragments to objects batch by batch, and keeps only what later batches can still change.

An object is open while later fragments may join it. Then it closes: its size and its first voxel
are known, and go to a column. Memory holds the open objects and the fragments of one batch.

::

    nodes       open objects before    0 1 2    fragments of the batch  3 4 5 6 7 8 9
    objects                            0 1 0                            1 2 2 3 4 0 5
    targets     0 and 1 stay open      0 1 0    2, 3, 4 and 5 close     1 3 3 2 5 0 4

Targets number first the objects that stay open, then those that close, in the order of their first
voxel. Read from the last batch to the first, they lead from the ids of objects to those of
fragments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigunet.objects.scratch import Column, Scratch

BATCH_SIZE = 2**19
"""Fragments of a batch, about: each takes some 200 bytes while its batch is joined."""

BAND_MARKS = 512
"""First voxels of a batch that stay in memory, of ``batch_size`` fragments: 1 of 1024."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Where the numbers of a batch are in the columns of :class:`StitchedFragments`.

    Attributes
    ----------
    targets : range
        In the column of targets: those of the objects that were open before, then those of the
        fragments of the batch.
    num_open_before : int
    fragments : range
        The fragments of the batch, among those of all blocks.
    num_open : int
        Objects that stay open.
    closed : range
        Objects that close, among all closed objects.
    marks : ndarray of int64
        First voxels of some objects that close: of each ``mark_every``-th, from the first on.
    """

    targets: range
    num_open_before: int
    fragments: range
    num_open: int
    closed: range
    marks: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class StitchedFragments:
    """The objects of a volume, and to which object each fragment belongs.

    Attributes
    ----------
    offsets : ndarray of int64, (num_blocks + 1,)
        Number of fragments in all blocks before, in C order of the blocks.
    batches : list of Batch
        No object is open after the last.
    targets : Column of uint32
        For each batch: the object of each node, as the sketch at the head of this module says.
    sizes : Column of int64, (num_objects,)
        Voxels of each object, in the order in which they closed.
    first_voxels : Column of int64, (num_objects,)
        First voxel of each object in C order of the volume; ascending in each batch.
    mark_every : int
        See :attr:`Batch.marks`.
    scratch : Scratch
        Holds the columns, and can hold more.
    """

    offsets: np.ndarray
    batches: list[Batch]
    targets: Column
    sizes: Column
    first_voxels: Column
    mark_every: int
    scratch: Scratch

    @property
    def num_fragments(self) -> int:
        return int(self.offsets[-1])

    @property
    def num_objects(self) -> int:
        return self.batches[-1].closed.stop if self.batches else 0


class Joiner:
    """Takes batch after batch, and writes what is known of their objects into columns.

    Parameters
    ----------
    scratch : Scratch
    batch_size : int
        Fragments of a batch, about.
    """

    def __init__(self, scratch: Scratch, batch_size: int) -> None:
        self._scratch = scratch
        self._every = max(1, batch_size // BAND_MARKS)
        self._targets = scratch.column(np.uint32)
        self._sizes, self._first_voxels = scratch.column(np.int64), scratch.column(np.int64)
        self._open_sizes, self._open_firsts = np.zeros((2, 0), np.int64)
        self._batches: list[Batch] = []

    @property
    def num_open(self) -> int:
        """Objects that later fragments may join."""
        return len(self._open_sizes)

    def end_batch(
        self, objects: np.ndarray, sizes: np.ndarray, first_voxels: np.ndarray, is_open: np.ndarray
    ) -> np.ndarray:
        """Join the nodes of a batch: the objects that are open, then its fragments.

        Parameters
        ----------
        objects : ndarray of int, (num_open + num_fragments,)
            The object of each node: 0 to ``num_objects - 1``, each at least once.
        sizes, first_voxels : ndarray of int64, (num_fragments,)
        is_open : ndarray of bool, (num_objects,)
            Whether later fragments may join the object.

        Returns
        -------
        ndarray of uint32, (num_objects,)
            The target of each object: those that stay open are from 0 on, in their order.
        """
        totals = np.zeros(len(is_open), np.int64)
        np.add.at(totals, objects, np.concatenate([self._open_sizes, sizes]))
        firsts = np.full(len(is_open), np.iinfo(np.int64).max)
        np.minimum.at(firsts, objects, np.concatenate([self._open_firsts, first_voxels]))
        stay, close = np.flatnonzero(is_open), np.flatnonzero(~is_open)
        close = close[np.argsort(firsts[close], kind="stable")]
        targets = np.empty(len(is_open), np.uint32)
        targets[np.concatenate([stay, close])] = np.arange(len(is_open), dtype=np.uint32)
        self._write(targets[objects], totals[close], firsts[close], len(sizes), len(stay))
        self._open_sizes, self._open_firsts = totals[stay], firsts[stay]
        return targets

    def _write(
        self,
        targets: np.ndarray,
        sizes: np.ndarray,
        first_voxels: np.ndarray,
        num_fragments: int,
        num_open: int,
    ) -> None:
        before = self._batches[-1] if self._batches else None
        targets_begin, fragments_begin, closed_begin = (
            (before.targets.stop, before.fragments.stop, before.closed.stop) if before else (0,) * 3
        )
        batch = Batch(
            targets=range(targets_begin, targets_begin + len(targets)),
            num_open_before=self.num_open,
            fragments=range(fragments_begin, fragments_begin + num_fragments),
            num_open=num_open,
            closed=range(closed_begin, closed_begin + len(sizes)),
            marks=first_voxels[:: self._every].copy(),
        )
        self._targets.append(targets)
        self._sizes.append(sizes)
        self._first_voxels.append(first_voxels)
        self._batches.append(batch)

    def stitched(self, offsets: np.ndarray) -> StitchedFragments:
        """The objects of all batches, if none is open."""
        assert self.num_open == 0
        return StitchedFragments(
            offsets,
            self._batches,
            self._targets,
            self._sizes,
            self._first_voxels,
            self._every,
            self._scratch,
        )
