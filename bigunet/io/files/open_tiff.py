"""Voxels of TIFF files: only the strips or tiles under a box are read; the last stay decoded."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import numpy as np
import tifffile
import zarr
from cachetools import LRUCache
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from bigunet.errors import ImageError
from bigunet.io.files.file_image import FileSeries
from bigunet.io.files.open_files import OpenFile, Stamp
from bigunet.io.files.tiffs import check_page, chosen_series, without_alpha
from bigunet.io.images.array_reader import Selection
from bigunet.io.images.multiscale import Level

_MAX_KEPT = 256 * 2**20
"""Bytes of decoded strips and tiles of all files; the latest is kept even if it has more."""
_MOST_CHECKED = 1000
"""Pages of an image that are looked at: does the file hold all that they list?"""

_kept: LRUCache[tuple[Stamp, int, str], Buffer] = LRUCache(
    _MAX_KEPT, getsizeof=lambda part: min(len(part), _MAX_KEPT)
)
_kept_lock = threading.Lock()


class OpenTiff(OpenFile):
    """An image of an open TIFF file. Each level is opened when it is read for the first time."""

    def __init__(self, series: FileSeries, stamp: Stamp) -> None:
        self._series = series
        self._stamp = stamp
        self._tiff = tifffile.TiffFile(series.path)
        self._levels: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read(self, level: Level, selection: Selection) -> np.ndarray:
        with self._lock:
            if level.path not in self._levels:
                self._levels[level.path] = self._open_level(level)
            array = self._levels[level.path]
        by_indices = any(isinstance(part, np.ndarray) for part in selection)
        if by_indices and isinstance(array, zarr.Array):
            return np.asarray(array.oindex[selection])
        return np.array(array[selection])

    def close(self) -> None:
        self._levels.clear()
        self._tiff.close()

    def _open_level(self, level: Level) -> Any:
        stored = self._tiff.series[chosen_series(self._tiff, self._series)]
        number = int(level.path)
        if number >= len(stored.levels) or without_alpha(stored.levels[number]) != level.shape:
            raise ImageError(f"{self._series.url} is not the file that was opened; open it again")
        pages = stored.levels[number]
        if pages.dataoffset is not None and not pages.is_multifile:
            return np.memmap(
                self._series.path,
                mode="r",
                dtype=np.dtype(self._tiff.byteorder + pages.dtype.char),
                offset=pages.dataoffset,
                shape=pages.shape,
            )
        _check_whole(pages)
        # With one worker, tifffile would decode in the thread that all reads of zarr share.
        chunks = stored.aszarr(level=number, maxworkers=2)
        return zarr.open_array(_KeptChunks(chunks, self._stamp, number), mode="r")


class _KeptChunks(WrapperStore[Store]):
    """A store that keeps the chunks which were decoded last, and decodes none twice at a time.

    One compressed strip may be a whole plane, and many blocks lie in a plane.
    """

    def __init__(self, store: Store, stamp: Stamp, level: int) -> None:
        super().__init__(store)
        self._stamp = stamp
        self._level = level
        self._running: dict[str, asyncio.Task[Buffer | None]] = {}

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        kept = self._last(key)
        if kept is not None:
            return kept
        if key not in self._running:
            decoding = super().get(key, prototype, byte_range)
            self._running[key] = asyncio.ensure_future(decoding)
        try:
            part = await asyncio.shield(self._running[key])
        finally:
            self._running.pop(key, None)
        if part is not None:
            with _kept_lock:
                _kept[self._stamp, self._level, key] = part
        return part

    def _last(self, key: str) -> Buffer | None:
        with _kept_lock:
            return _kept.get((self._stamp, self._level, key))


def _check_whole(pages: Any) -> None:
    """Raise an ImageError if a file ends before the voxels that its pages list."""
    step = max(1, math.ceil(len(pages.pages) / _MOST_CHECKED))
    for k in (*range(0, len(pages.pages), step), len(pages.pages) - 1):
        if pages.pages[k] is not None:
            check_page(pages.pages[k])
