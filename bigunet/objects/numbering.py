"""Ids of objects: small ones are removed, the others are numbered by their first voxel.

An id follows from the image alone, because neither the size of a whole object nor its first voxel
depends on the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.objects.joining import StitchedFragments
from bigunet.objects.ranking import count_large, rank_objects
from bigunet.objects.scratch import Column


@dataclass(frozen=True, slots=True, eq=False)
class ObjectIds:
    """The id of each fragment of each block.

    Attributes
    ----------
    offsets : ndarray of int64, (num_blocks + 1,)
        Number of fragments in all blocks before, in C order of the blocks.
    ids : ndarray of uint32 or uint64, (num_fragments,)
        Id of the object of each fragment; 0 if the object was removed.
    num_objects : int
        Objects that have an id.
    num_small : int
        Objects that were removed.
    """

    offsets: np.ndarray
    ids: np.ndarray
    num_objects: int
    num_small: int

    def of_block(self, number: int) -> np.ndarray:
        """Ids by local fragment: index 0 is no object, and holds 0.

        Parameters
        ----------
        number : int
            Number of the block, as :meth:`bigunet.blocks.BlockGrid.number` gives it.
        """
        ids = np.zeros(self.offsets[number + 1] - self.offsets[number] + 1, self.ids.dtype)
        ids[1:] = self.ids[self.offsets[number] : self.offsets[number + 1]]
        return ids


@dataclass(frozen=True, slots=True, eq=False)
class NumberedObjects:
    """The id of each object, from which those of the fragments follow batch by batch.

    Attributes
    ----------
    stitched : StitchedFragments
    ids : Column of uint32 or uint64, or of bool for holes
        Id of each object, in the order in which they closed; 0 if the object was removed.
    num_objects, num_small : int
        Objects that have an id, and objects that were removed.
    """

    stitched: StitchedFragments
    ids: Column
    num_objects: int
    num_small: int

    def of_batches(self) -> Iterator[tuple[int, np.ndarray]]:
        """First fragment of each batch, and the ids of its fragments, from the last batch on.

        Only the ids of one batch and of the objects that were open before it are in memory.
        """
        ids_of_open = np.zeros(0, self.ids.dtype)
        for batch in reversed(self.stitched.batches):
            closed = self.ids.read(batch.closed.start, batch.closed.stop)
            targets = self.stitched.targets.read(batch.targets.start, batch.targets.stop)
            ids = np.concatenate([ids_of_open, closed])[targets]
            yield batch.fragments.start, ids[batch.num_open_before :]
            ids_of_open = ids[: batch.num_open_before]

    def in_memory(self) -> ObjectIds:
        """The ids of all fragments."""
        ids = np.empty(self.stitched.num_fragments, self.ids.dtype)
        for begin, of_batch in self.of_batches():
            ids[begin : begin + len(of_batch)] = of_batch
        return ObjectIds(self.stitched.offsets, ids, self.num_objects, self.num_small)


def rank(stitched: StitchedFragments, *, smallest: int = 0, before: int = 0) -> NumberedObjects:
    """Give ids to the objects that are large enough, in the order of their first voxel.

    Parameters
    ----------
    stitched : StitchedFragments
    smallest : int
        Objects with fewer voxels are removed. Their ids are not left open.
    before : int
        Ids that other images have already, such as earlier time points: the first id is the next.

    Raises
    ------
    OptionError
        If a number is negative.
    OSError
        If the folder of the scratch has no space left.
    """
    if smallest < 0 or before < 0:
        raise OptionError(f"smallest {smallest} and before {before} must be 0 or more")
    num_large = count_large(stitched, smallest)
    dtype = id_type(before + num_large)
    ids = rank_objects(stitched, smallest=smallest, before=before, dtype=dtype)
    return NumberedObjects(stitched, ids, num_large, stitched.num_objects - num_large)


def number_objects(stitched: StitchedFragments, *, smallest: int = 0, before: int = 0) -> ObjectIds:
    """The ids of all fragments in memory: see :func:`rank`."""
    return rank(stitched, smallest=smallest, before=before).in_memory()


def sizes_of_objects(numbered: NumberedObjects) -> np.ndarray:
    """Voxels of each object by its id, from 1: int64, (num_objects + 1,); at 0 it is 0.

    Parameters
    ----------
    numbered : NumberedObjects
        With ids from 1.
    """
    ids = numbered.ids.read(0, len(numbered.ids))
    sizes = np.zeros(numbered.num_objects + 1, np.int64)
    sizes[ids] = numbered.stitched.sizes.read(0, len(ids))
    sizes[0] = 0
    return sizes


def id_type(highest: int) -> np.dtype:
    """The type of ids up to ``highest``: uint32 where it is enough, and uint64 above.

    >>> id_type(2**32 - 1), id_type(2**32)
    (dtype('uint32'), dtype('uint64'))
    """
    return np.dtype(np.uint32 if highest < 2**32 else np.uint64)
