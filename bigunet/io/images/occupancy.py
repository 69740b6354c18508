"""Which chunks of an image are stored; all voxels of a missing chunk have the fill value."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point, ceil_div
from bigunet.io.images.multiscale import Multiscale
from bigunet.stores.access import join_url, open_array, reading

# The entry of a chunk in the index of a shard: offset and length. For an absent chunk, both are
# the largest number.
_ENTRY_BYTES = 16
_CHECKSUM_BYTES = 4
_ABSENT = np.uint64(2**64 - 1)
# Number of simultaneous requests: a block of many small chunks must not flood an object store.
_AT_ONCE = 32


class StoredChunks:
    """Says which voxels lie in stored chunks; threads may share one object.

    Parameters
    ----------
    image : Multiscale
    level : int
    channels : sequence of int
        A voxel counts as stored if one of these channels is stored there.
    """

    def __init__(
        self, image: Multiscale, *, level: int = 0, channels: Sequence[int] = (0,)
    ) -> None:
        self._image = image
        self._level = image.level(level)
        self._channels = tuple(channels)
        self._volume = Box.of_shape(image.volume_shape(level))
        self._array: zarr.Array[Any] | None = None

    def read(self, box: Box) -> np.ndarray:
        """Whether each voxel of a box lies in a stored chunk: bool, with the shape of the box.

        Raises
        ------
        GeometryError
            If the box leaves the volume.
        ImageError
            If the store cannot be read.
        """
        if not self._volume.contains(box) or not box.size:
            raise GeometryError(f"{box} does not lie in the volume, which is {self._volume}")
        with reading(f"the chunks of {join_url(self._image.url, self._level.path)}"):
            stored: np.ndarray = self._read_chunks(self._as_stored(box))
        if self._image.channel_axis is None:
            return np.ascontiguousarray(stored.transpose(self._image.volume_order))
        order = (self._image.channel_axis, *self._image.volume_order)
        any_channel: np.ndarray = np.logical_or.reduce(stored.transpose(order))
        return any_channel

    def _as_stored(self, box: Box) -> Box:
        """The box along the axes of the array, with all channels from the first to the last."""
        ends = [(0, 0)] * len(self._level.shape)
        for stored, start, stop in zip(self._image.volume_order, box.start, box.stop):
            ends[stored] = (start, stop)
        if self._image.channel_axis is not None:
            ends[self._image.channel_axis] = (min(self._channels), max(self._channels) + 1)
        return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))

    def _read_chunks(self, box: Box) -> np.ndarray:
        """Whether the voxels of a box of the array are stored: bool, with the shape of the box."""
        array = self._opened()
        chunks: Point = array.chunks
        covering = _covering(box, chunks)
        present = np.zeros(covering.shape, bool)
        per_file = tuple(s // c for s, c in zip(array.shards or chunks, chunks))
        files = list(_cells(_covering(covering, per_file)))
        for file, stored in zip(files, sync(_look(array, files, per_file))):
            whole = Box(
                tuple(i * n for i, n in zip(file, per_file)),
                tuple((i + 1) * n for i, n in zip(file, per_file)),
            )
            kept = whole.intersection(covering)
            present[kept.within(covering)] = stored[kept.within(whole)]
        for axis, chunk in enumerate(chunks):
            present = present.repeat(chunk, axis=axis)
        grown = Box(
            tuple(i * n for i, n in zip(covering.start, chunks)),
            tuple(i * n for i, n in zip(covering.stop, chunks)),
        )
        return self._chosen(present[box.within(grown)], box)

    def _chosen(self, stored: np.ndarray, box: Box) -> np.ndarray:
        """The part of an array of all channels from first to last that has the chosen channels."""
        axis = self._image.channel_axis
        if axis is None:
            return stored
        first = box.start[axis]
        return stored.take([k - first for k in self._channels], axis=axis)

    def _opened(self) -> zarr.Array[Any]:
        # Two threads may both open the array; that costs little and needs no lock.
        if self._array is None:
            self._array = open_array(self._image.url, self._level.path)
        return self._array

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None}


def _covering(box: Box, cell: Point) -> Box:
    """The cells of a grid of this shape, counted from 0, that a box touches."""
    return Box(
        tuple(a // n for a, n in zip(box.start, cell)),
        tuple(ceil_div(b, n) for b, n in zip(box.stop, cell)),
    )


def _cells(box: Box) -> Iterator[Point]:
    """Index of each cell of a box, in C order."""
    for index in np.ndindex(*box.shape):
        yield tuple(a + i for a, i in zip(box.start, index))


async def _look(array: zarr.Array[Any], files: list[Point], per_file: Point) -> list[np.ndarray]:
    """For each file, which of its chunks are stored: bool, of shape ``per_file``."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(file: Point) -> np.ndarray:
        async with gate:
            return await _chunks_of(array, file, per_file)

    return list(await asyncio.gather(*(look(file) for file in files)))


async def _chunks_of(array: zarr.Array[Any], file: Point, per_file: Point) -> np.ndarray:
    """Which chunks of a file are stored: bool, of shape ``per_file``."""
    store, prefix = array.store_path.store, array.store_path.path
    key = f"{prefix}/{array.metadata.encode_chunk_key(file)}".lstrip("/")
    codec = _sharding_of(array)
    if codec is None:
        return np.full(per_file, await store.exists(key))
    size = math.prod(per_file) * _ENTRY_BYTES
    has_checksum = any(isinstance(c, Crc32cCodec) for c in codec.index_codecs)
    length = size + _CHECKSUM_BYTES * has_checksum
    at_start = _word(codec.index_location) == "start"
    part = RangeByteRequest(0, length) if at_start else SuffixByteRequest(length)
    index = await store.get(key, default_buffer_prototype(), part)
    if index is None:
        return np.zeros(per_file, bool)
    if not _is_plain(codec):
        return np.ones(per_file, bool)
    entries = np.frombuffer(index.to_bytes()[:size], "<u8").reshape(*per_file, 2)
    stored: np.ndarray = entries[..., 0] != _ABSENT
    return stored


def _sharding_of(array: zarr.Array[Any]) -> ShardingCodec | None:
    """The sharding codec of an array; None if the array is not sharded."""
    if array.shards is None:
        return None
    codecs = getattr(array.metadata, "codecs", ())
    return next(codec for codec in codecs if isinstance(codec, ShardingCodec))


def _word(choice: object) -> object:
    """The word of a codec setting, which older versions of zarr hold as an enumeration."""
    return getattr(choice, "value", choice)


def _is_plain(codec: ShardingCodec) -> bool:
    """Whether the index of a shard is the usual one: little-endian, with or without checksum."""
    first, *rest = codec.index_codecs
    little = isinstance(first, BytesCodec) and _word(first.endian) == "little"
    return little and all(isinstance(c, Crc32cCodec) for c in rest)
