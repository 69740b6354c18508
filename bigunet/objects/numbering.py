"""Ids of objects: small ones are removed, the others are numbered by their first voxel.

An id follows from the image alone, because neither the size of a whole object nor its first voxel
depends on the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.objects.stitching import StitchedFragments


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


def number_objects(stitched: StitchedFragments, *, smallest: int = 0, before: int = 0) -> ObjectIds:
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
    """
    if smallest < 0 or before < 0:
        raise OptionError(f"smallest {smallest} and before {before} must be 0 or more")
    large = np.flatnonzero(stitched.sizes >= max(smallest, 1))
    # Those of one block are in order already, and a stable sort merges such runs.
    large = large[np.argsort(stitched.first_voxels[large], kind="stable")]
    ids = np.zeros(stitched.num_fragments, id_type(before + len(large)))
    ids[large] = np.arange(before + 1, before + len(large) + 1, dtype=ids.dtype)
    ids[stitched.joined] = ids[stitched.lowest]
    return ObjectIds(stitched.offsets, ids, len(large), stitched.num_objects - len(large))


def sizes_of_objects(stitched: StitchedFragments, numbers: ObjectIds) -> np.ndarray:
    """Voxels of each object by its id, from 1: int64, (num_objects + 1,); at 0 it is 0.

    Parameters
    ----------
    stitched : StitchedFragments
    numbers : ObjectIds
        Of the same fragments, with ids from 1.
    """
    sizes = np.zeros(numbers.num_objects + 1, np.int64)
    named = np.flatnonzero((stitched.sizes > 0) & (numbers.ids > 0))
    sizes[numbers.ids[named]] = stitched.sizes[named]
    return sizes


def id_type(highest: int) -> np.dtype:
    """The type of ids up to ``highest``: uint32 where it is enough, and uint64 above.

    >>> id_type(2**32 - 1), id_type(2**32)
    (dtype('uint32'), dtype('uint64'))
    """
    return np.dtype(np.uint32 if highest < 2**32 else np.uint64)
