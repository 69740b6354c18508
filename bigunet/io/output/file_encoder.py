"""Encodes whole files of an output: shards of zarr 3, or chunks of zarr 2; it writes none.

Zarr would encode the same chunks through a task each, which takes four times as long as Blosc.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec

from bigunet.geometry import Point, ceil_div

# The offset and the length of a chunk that is not stored.
_ABSENT = np.iinfo(np.uint64).max
_SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}


@dataclass(frozen=True)
class FileEncoder:
    """Encodes the voxels of one file.

    Parameters
    ----------
    chunk : tuple of int
        Shape of a chunk, in the order of storage.
    file : tuple of int
        Shape of a file, in the same order: whole chunks.
    is_sharded : bool
        Whether a file holds many chunks and their index; else it is one chunk.
    dtype : numpy.dtype
        Type of a stored voxel, in its byte order.
    blosc : numcodecs.Blosc
    """

    chunk: Point
    file: Point
    is_sharded: bool
    dtype: np.dtype[Any]
    blosc: Blosc

    @classmethod
    def of(cls, array: zarr.Array[Any]) -> FileEncoder | None:
        """The encoder of an array as bigunet creates it; None for any other form.

        A run that an older version began may go on with other settings of Blosc.
        """
        metadata: Any = array.metadata
        if array.dtype.kind not in "iuf" or array.fill_value != 0:
            return None
        if metadata.zarr_format == 2:
            blosc = metadata.compressor
            plain = isinstance(blosc, Blosc) and not metadata.filters and metadata.order == "C"
            dtype = np.dtype(array.dtype)
            return cls(array.chunks, array.chunks, False, dtype, blosc) if plain else None
        blosc = _blosc_of_shards(metadata.codecs)
        if blosc is None or array.shards is None:
            return None
        return cls(array.chunks, array.shards, True, array.dtype.newbyteorder("<"), blosc)

    def encode(self, voxels: np.ndarray) -> bytes | None:
        """The content of a file; None if all voxels are 0, because no file stands for them.

        Parameters
        ----------
        voxels : ndarray
            The voxels of the file, in the order of storage. At the end of the array they may be
            fewer than a whole file.
        """
        if not self.is_sharded:
            return self._encoded(voxels)
        shape = tuple(s // c for s, c in zip(self.file, self.chunk))
        index = np.full((*shape, 2), _ABSENT, "<u8")
        chunks, size = [], 0
        for cell, part in _parts(voxels, self.chunk):
            chunk = self._encoded(part)
            if chunk is not None:
                index[cell] = size, len(chunk)
                chunks.append(chunk)
                size += len(chunk)
        if not chunks:
            return None
        entries = index.tobytes()
        checksum = np.uint32(google_crc32c.value(entries)).astype("<u4").tobytes()
        return b"".join((*chunks, entries, checksum))

    def _encoded(self, voxels: np.ndarray) -> bytes | None:
        """One chunk, filled up with 0 where the array ends; None if all of its bits are 0."""
        whole = np.ascontiguousarray(voxels, dtype=self.dtype)
        if not whole.view(np.uint8).any():
            return None
        if whole.shape != self.chunk:
            filled = np.zeros(self.chunk, self.dtype)
            filled[tuple(map(slice, whole.shape))] = whole
            whole = filled
        encoded: bytes = self.blosc.encode(whole)
        return encoded


def files_of(
    array: zarr.Array[Any], selection: tuple[slice, ...]
) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Each file that a selection of whole files covers: its key, and its part of the selection."""
    extents = array.shards or array.chunks
    cells = [
        range(part.indices(n)[0] // extent, ceil_div(part.indices(n)[1], extent))
        for part, n, extent in zip(selection, array.shape, extents)
    ]
    for cell in itertools.product(*cells):
        inside = tuple(
            slice((i - along.start) * n, (i - along.start + 1) * n)
            for i, along, n in zip(cell, cells, extents)
        )
        yield f"{array.store_path.path}/{array.metadata.encode_chunk_key(cell)}", inside


def _parts(voxels: np.ndarray, shape: Point) -> Iterator[tuple[Point, np.ndarray]]:
    """Cut voxels into parts of a shape; those at the end may be smaller."""
    for cell in np.ndindex(*map(ceil_div, voxels.shape, shape)):
        yield cell, voxels[tuple(slice(i * n, (i + 1) * n) for i, n in zip(cell, shape))]


def _blosc_of_shards(codecs: Any) -> Blosc | None:
    """The Blosc of an array of shards; None if its codecs are not those that bigunet sets."""
    if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec):
        return None
    sharding = codecs[0]
    index_codecs = sharding.index_codecs
    is_plain = (
        [*map(type, sharding.codecs)] == [BytesCodec, BloscCodec]
        and [*map(type, index_codecs)] == [BytesCodec, Crc32cCodec]
        and _word(sharding.index_location) == "end"
        and all(_is_little(codec) for codec in (sharding.codecs[0], index_codecs[0]))
    )
    if not is_plain:
        return None
    blosc: Any = sharding.codecs[1]
    cname, clevel, shuffle, blocksize = (
        _word(value) for value in (blosc.cname, blosc.clevel, blosc.shuffle, blosc.blocksize)
    )
    return Blosc(cname=cname, clevel=clevel, shuffle=_SHUFFLES[shuffle], blocksize=blocksize)


def _word(value: Any) -> Any:
    """The word of a codec setting, which older versions of zarr hold as an enumeration."""
    return getattr(value, "value", value)


def _is_little(codec: Any) -> bool:
    """Whether bytes are little-endian; voxels of one byte have no order."""
    return _word(codec.endian) in ("little", None)
