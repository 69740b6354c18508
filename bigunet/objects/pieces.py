"""The pieces of split objects in one block, and the objects of all blocks.

A piece is the voxels of one split object in one block. Its seed says which object it is, so that
pieces of several blocks are joined by their seeds, and no face is needed.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bigunet.errors import GeometryError
from bigunet.geometry import Box
from bigunet.npz import npz_arrays, npz_bytes, reading_npz
from bigunet.objects.joining import BATCH_SIZE, Joiner, StitchedFragments
from bigunet.objects.scratch import Scratch
from bigunet.objects.stored_pieces import StoredPieces


@dataclass(frozen=True, slots=True, eq=False)
class BlockPieces:
    """The pieces of one block, in the order of their first voxel.

    Attributes
    ----------
    seeds : ndarray of uint32 or uint64, (num_pieces,)
        Id of the seed of each piece.
    sizes : ndarray of int64, (num_pieces,)
        Voxels of each piece.
    first_voxels : ndarray of int64, (num_pieces,)
        First voxel of each piece: its index in C order of the whole volume.
    """

    seeds: np.ndarray
    sizes: np.ndarray
    first_voxels: np.ndarray

    @property
    def num_fragments(self) -> int:
        return self.sizes.size

    def to_bytes(self) -> bytes:
        """The pieces as a compressed npz file: equal pieces give equal bytes."""
        numbers = {"seeds": self.seeds, "sizes": self.sizes, "first_voxels": self.first_voxels}
        return npz_bytes(numbers, compressed=True)

    @classmethod
    def from_bytes(cls, content: bytes) -> BlockPieces:
        """Pieces from the bytes of :meth:`to_bytes`; nothing is unpickled.

        Raises
        ------
        OutputError
            If the bytes are damaged.
        """
        with reading_npz(content, "the pieces of a block", "the block is labelled again"):
            arrays = npz_arrays(content)
            pieces = cls(arrays["seeds"], arrays["sizes"], arrays["first_voxels"])
            if not pieces.seeds.shape == pieces.sizes.shape == pieces.first_voxels.shape:
                raise ValueError("arrays of different lengths")
            return pieces


def pieces_of_block(ids: np.ndarray, box: Box, volume: Box) -> tuple[np.ndarray, BlockPieces]:
    """Number the pieces of one block.

    Parameters
    ----------
    ids : ndarray of uint32 or uint64, (*frames, *space)
        Id of the seed of each voxel of the block; 0 is no object.
    box : Box
        The voxels of the block.
    volume : Box
        The whole volume, in which first voxels are counted.

    Returns
    -------
    labels : ndarray of uint32, (*frames, *space)
        Pieces from 1 in the order of their first voxel in the block; 0 is no object.
    pieces : BlockPieces

    Raises
    ------
    GeometryError
        If the ids do not have the shape of the box, or the volume does not contain the box.

    Examples
    --------
    >>> volume = Box((0,), (9,))
    >>> labels, pieces = pieces_of_block(np.array([8, 0, 5, 5], np.uint32), Box((5,), (9,)), volume)
    >>> labels.tolist(), pieces.seeds.tolist(), pieces.first_voxels.tolist()
    ([1, 0, 2, 2], [8, 5], [5, 7])
    """
    if ids.shape != box.shape:
        raise GeometryError(f"ids of shape {ids.shape} for the block {box}")
    origin = [side.start for side in box.within(volume)]
    starts, lengths, of_run = _runs(ids.ravel())
    inside = np.flatnonzero(of_run)
    seeds, first_runs, seed_of_run = np.unique(
        of_run[inside], return_index=True, return_inverse=True
    )
    order = np.argsort(first_runs)
    piece_of_seed = np.empty(len(seeds), np.uint32)
    piece_of_seed[order] = np.arange(1, len(seeds) + 1, dtype=np.uint32)
    labels = np.zeros(len(starts), np.uint32)
    labels[inside] = piece_of_seed[seed_of_run]
    sizes = np.zeros(len(seeds) + 1, np.int64)
    np.add.at(sizes, labels, lengths)
    places = np.unravel_index(starts[inside[first_runs[order]]], box.shape)
    moved = tuple(place + start for place, start in zip(places, origin))
    first_voxels = np.ravel_multi_index(moved, volume.shape).astype(np.int64, copy=False)
    pieces = BlockPieces(seeds[order], sizes[1:], first_voxels)
    return np.repeat(labels, lengths).reshape(ids.shape), pieces


def join_pieces(
    blocks: Iterable[BlockPieces], *, scratch: Scratch | None = None, batch_size: int = BATCH_SIZE
) -> StitchedFragments:
    """The objects of all blocks: pieces of one seed are one object, and are its fragments.

    Memory holds the pieces of a batch, and the objects that have pieces before and after it.

    Parameters
    ----------
    blocks : iterable of BlockPieces
        Those of every block, in C order of the blocks. Each is taken once.
    scratch : Scratch, optional
        Holds pieces and what is known of objects; by default, memory does.
    batch_size : int
        Pieces that are joined at a time, about. The objects do not depend on it.

    Raises
    ------
    OSError
        If the folder of the scratch has no space left.
    """
    scratch = scratch or Scratch()
    stored = StoredPieces(scratch)
    offsets = array("q", [0])
    for block in blocks:
        stored.add(block.seeds, block.sizes, block.first_voxels)
        offsets.append(offsets[-1] + block.sizes.size)
        if stored.num_in_batch >= batch_size:
            stored.end_batch()
    stored.end_batch()
    joiner, open_seeds = Joiner(scratch, batch_size), np.zeros(0, np.uint64)
    for seeds, sizes, first_voxels in stored.batches():
        named, objects = np.unique(np.concatenate([open_seeds, seeds]), return_inverse=True)
        is_open = stored.come_again(named)
        joiner.end_batch(objects, sizes, first_voxels, is_open)
        open_seeds = named[is_open]
    return joiner.stitched(np.array(offsets, np.int64))


def _runs(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First place, length and value of each run of equal values."""
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1]) != 0)
    starts = np.concatenate([np.zeros(min(1, flat.size), np.int64), starts])
    lengths = np.diff(starts, append=flat.size)
    return starts, lengths, flat[starts]
