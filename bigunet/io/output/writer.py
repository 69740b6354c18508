"""Writes the voxels of an output in blocks of whole shards; it makes no arrays and no metadata."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, WrapperStore

from bigunet.errors import GeometryError, OutputError
from bigunet.geometry import Box
from bigunet.io.output.block_files import Files
from bigunet.io.output.file_encoder import FileEncoder, files_of
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.pyramid import Voxels, downsample_mean, downsample_mode
from bigunet.io.output.writing import writing
from bigunet.stores.access import open_array, reading

_METADATA_NAMES = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs"})


class OutputWriter:
    """Writes blocks of an output. It can be pickled, copied to workers and shared by threads.

    Different blocks may be written at the same time. To write a block twice gives the same bytes.

    Parameters
    ----------
    output : OutputImage
        Its arrays must exist when the first block is written.
    """

    def __init__(self, output: OutputImage) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._arrays: list[zarr.Array[Any]] | None = None

    def __reduce__(self) -> tuple[type[OutputWriter], tuple[OutputImage]]:
        return OutputWriter, (self._output,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a voxel."""
        return np.dtype(self._output.dtype)

    def write_block(self, group: int, box: Box, values: Voxels) -> Files:
        """Write a block of the first level of a group, and the part of the other levels below it.

        Parameters
        ----------
        group : int
            Number of the group in the layout.
        box : Box
            In voxels of the first level of the group. It holds whole shards, except at the end of
            the level.
        values : ndarray
            Of the dtype of the output, along the canonical axes of the output. If it has
            channels, they are the first axis.

        Returns
        -------
        Files
            Number and size of the files of this block. If all voxels
            of a file are 0, the file is not written.

        Raises
        ------
        GeometryError
            If the box cuts a shard or leaves the level, or the values do not fill it.
        OutputError
            If the dtype is not that of the output, or the store cannot be written.
        """
        first, *rest = self._output.layout.groups[group]
        self._check_block(first, box, values)
        written = self._write(first, box, values)
        for level in rest:
            covered = self._output.layout.coarser(box, level)
            if not covered.size:
                return written
            kept = self._output.layout.finer(covered, level).within(box)
            box, values = covered, self.downsampled(self._cropped(values, kept), level)
            written += self._write(level, box, values)
        return written

    def downsample_block(self, group: int, box: Box) -> Files:
        """Write a block of a later group, downsampled from the last level of the previous group.

        Parameters
        ----------
        group : int
            Number of the group in the layout, at least 1. The previous group must have been
            written where ``box`` lies.
        box : Box
            As for `write_block`.

        Returns
        -------
        Files
            As of `write_block`.

        Raises
        ------
        GeometryError
            If the group is the first, the box cuts a shard, or it leaves the level.
        ImageError
            If the previous level cannot be read.
        OutputError
            If the store cannot be written.
        """
        level = self._output.layout.groups[group][0]
        if level == 0:
            raise GeometryError("group 0 has no level before it: write its blocks instead")
        self._check_box(level, box)
        source = self._output.layout.finer(box, level)
        values = self.downsampled(self.read_box(level - 1, source), level)
        return self.write_block(group, box, values)

    def read_box(self, level: int, box: Box, *, channel: int | None = None) -> Voxels:
        """Read voxels of a level, along the canonical axes, with channels first if there are any.

        Parameters
        ----------
        level : int
        box : Box
        channel : int, optional
            The only channel to read; the result has no axis of channels.

        Raises
        ------
        ImageError
            If the level cannot be read.
        """
        array = open_array(self._output.store, self._output.level_path(level))
        channels = slice(None) if channel is None else slice(channel, channel + 1)
        whole = Box.of_shape(self._output.layout.levels[level].shape)
        with reading(self._path(level)):
            selection = self._output.as_stored(box.within(whole), channel=channels)
            stored = np.asarray(array[selection])
        values = stored.transpose(np.argsort(self._output.storage_order))
        return values if channel is None else values[0]

    def _cropped(self, values: Voxels, kept: tuple[slice, ...]) -> Voxels:
        channels = (slice(None),) * self._output.has_channels
        return values[channels + kept]

    def downsampled(self, values: Voxels, level: int) -> Voxels:
        """Voxels of a level, from those of the level before; they begin at an even voxel."""
        factor = (1,) * self._output.has_channels + self._output.layout.step(level)
        downsample = downsample_mode if self._output.is_halved_by_mode else downsample_mean
        return downsample(values, factor)

    def _write(self, level: int, box: Box, values: Voxels) -> Files:
        with writing(self._path(level)):
            array = self._opened()[level]
            selection = self._selection(level, box)
            stored = values.transpose(self._output.storage_order)
            store = array.store_path.store
            assert isinstance(store, _WholeShardStore)
            encoder = FileEncoder.of(array)
            if encoder is None:
                array[selection] = stored
            else:
                _put_files(store, array, selection, stored, encoder)
            return store.pop_written(key for key, _ in files_of(array, selection))

    def _selection(self, level: int, box: Box) -> tuple[slice, ...]:
        whole = Box.of_shape(self._output.layout.levels[level].shape)
        return self._output.as_stored(box.within(whole), channel=slice(None))

    def _path(self, level: int) -> str:
        return f"{self._output.store}/{self._output.level_path(level)}"

    def _opened(self) -> list[zarr.Array[Any]]:
        with self._lock:
            if self._arrays is None:
                store = _WholeShardStore(LocalStore(self._output.store))
                levels = range(len(self._output.layout.levels))
                self._arrays = [
                    zarr.open_array(store, path=self._output.level_path(level), mode="r+")
                    for level in levels
                ]
            return self._arrays

    def _check_box(self, level: int, box: Box) -> None:
        shape = self._output.layout.levels[level].shape
        shard = self._output.layout.levels[level].shard
        whole = Box.of_shape(shape)
        if box.ndim != whole.ndim or not box.size or not whole.contains(box):
            raise GeometryError(f"block {box} does not lie in level {level}, which is {whole}")
        if any(a % s for a, s in zip(box.start, shard)) or any(
            b % s and b != n for b, s, n in zip(box.stop, shard, shape)
        ):
            raise GeometryError(
                f"block {box} cuts a shard of {self._path(level)}: start at multiples of {shard}, "
                f"and stop at multiples or at the end {shape}"
            )

    def _check_block(self, level: int, box: Box, values: Voxels) -> None:
        self._check_box(level, box)
        channels = (self._output.num_channels,) if self._output.has_channels else ()
        if values.shape != channels + box.shape:
            raise GeometryError(
                f"values of shape {values.shape} do not fill block {box}: "
                f"shape {channels + box.shape} does"
            )
        if values.dtype != np.dtype(self._output.dtype):
            raise OutputError(
                f"values of dtype {values.dtype} for {self._path(level)} of dtype "
                f"{self._output.dtype}: convert them first"
            )


def _put_files(
    store: _WholeShardStore,
    array: zarr.Array[Any],
    selection: tuple[slice, ...],
    values: Voxels,
    encoder: FileEncoder,
) -> None:
    """Write each file that a selection covers; a file of zeros alone is removed.

    This thread encodes. Zarr's one thread for stores, which all blocks share, only writes.
    """
    for key, part in files_of(array, selection):
        content = encoder.encode(values[part])
        if content is None:
            sync(store.delete(key))
        else:
            sync(store.set(key, default_buffer_prototype().buffer.from_bytes(content)))


class _WholeShardStore(WrapperStore[LocalStore]):
    """A store that never reads voxels, and remembers the sizes of the files that it writes.

    zarr 3.1 reads a shard even if all of it will be replaced. That doubles the traffic, and a shard
    that a power cut has damaged could never be written again.
    """

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self._sizes: dict[str, int] = {}

    def pop_written(self, keys: Iterable[str]) -> Files:
        """Number and size of the files of these keys that were written since the last call."""
        sizes = [self._sizes.pop(key) for key in keys if key in self._sizes]
        return Files(len(sizes), sum(sizes))

    async def set(self, key: str, value: Buffer) -> None:
        try:
            await super().set(key, value)
        except FileNotFoundError:
            # The folder was removed after it was made and before the file was written; try again.
            await super().set(key, value)
        self._sizes[key] = len(value)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key.rpartition("/")[2] not in _METADATA_NAMES:
            return None
        return await super().get(key, prototype, byte_range)
