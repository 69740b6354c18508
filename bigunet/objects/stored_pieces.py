"""The pieces of all blocks in columns, and which batch has the last piece of each seed.

Pieces are read again batch by batch. Then it is known whether a later batch has more of an object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bigunet.objects.scratch import Column, Scratch

_PAGE_SIZE = 4096
"""Seeds of a page. Those of a block are mostly neighbours, and so in few pages."""


class StoredPieces:
    """Takes the pieces of all blocks, and gives them back batch by batch.

    Parameters
    ----------
    scratch : Scratch
        Holds the pieces.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._seeds = scratch.column(np.uint64)
        self._sizes, self._first_voxels = scratch.column(np.int64), scratch.column(np.int64)
        self._last_batches = _LastBatches(scratch.column(np.uint32))
        self._ends = [0]
        self._reading = 0
        self.num_in_batch = 0

    def add(self, seeds: np.ndarray, sizes: np.ndarray, first_voxels: np.ndarray) -> None:
        """Store the pieces of the next block: the seed, size and first voxel of each."""
        self._seeds.append(seeds)
        self._sizes.append(sizes)
        self._first_voxels.append(first_voxels)
        self.num_in_batch += len(seeds)

    def end_batch(self) -> None:
        """The pieces since the last batch are a batch."""
        begin, end = self._ends[-1], self._ends[-1] + self.num_in_batch
        self._last_batches.put(np.unique(self._seeds.read(begin, end)), len(self._ends) - 1)
        self._ends.append(end)
        self.num_in_batch = 0

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Seeds, sizes and first voxels of the pieces of each batch, in order."""
        for number, (begin, end) in enumerate(zip(self._ends, self._ends[1:])):
            self._reading = number
            columns = self._seeds, self._sizes, self._first_voxels
            seeds, sizes, first_voxels = [column.read(begin, end) for column in columns]
            yield seeds, sizes, first_voxels

    def come_again(self, seeds: np.ndarray) -> np.ndarray:
        """Whether a batch after the one that :meth:`batches` gave last has pieces of the seeds.

        Parameters
        ----------
        seeds : ndarray of uint64
            Ascending, each once.
        """
        return self._last_batches.of(seeds) > self._reading


@dataclass(frozen=True, slots=True, eq=False)
class _LastBatches:
    """Number of a batch for each seed, in pages; the pages lie in the order of their first use."""

    column: Column
    pages: dict[int, int] = field(default_factory=dict)

    def put(self, seeds: np.ndarray, batch: int) -> None:
        """Set the number of some seeds, ascending."""
        for page, places, _ in _of_pages(seeds):
            begin = self.pages.get(page, len(self.pages)) * _PAGE_SIZE
            values = np.zeros(_PAGE_SIZE, np.uint32)
            if page in self.pages:
                values[:] = self.column.read(begin, begin + _PAGE_SIZE)
            else:
                self.pages[page] = len(self.pages)
            values[places] = batch
            self.column.write(begin, values)

    def of(self, seeds: np.ndarray) -> np.ndarray:
        """The numbers of some seeds, ascending."""
        batches = np.empty(len(seeds), np.uint32)
        for page, places, where in _of_pages(seeds):
            begin = self.pages[page] * _PAGE_SIZE
            batches[where] = self.column.read(begin, begin + _PAGE_SIZE)[places]
        return batches


def _of_pages(seeds: np.ndarray) -> Iterator[tuple[int, np.ndarray, slice]]:
    """For each page: its number, the places of seeds in it, and where they are in ``seeds``."""
    pages, places = np.divmod(seeds, np.uint64(_PAGE_SIZE))
    numbers, starts = np.unique(pages, return_index=True)
    for number, start, stop in zip(numbers.tolist(), starts, [*starts[1:], len(seeds)]):
        yield number, places[start:stop], slice(start, stop)
