"""Sizes, times and hashes of the files that a zarr array is stored in, on any store."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr
from zarr.abc.store import RangeByteRequest, Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from bigunet.stores.checked_store import CheckedStore
from bigunet.stores.local_store import LocalFiles
from bigunet.stores.zip_store import ZippedFiles

# The size and time of a local file cost far less than reading the file, which the run will do.
_MAX_LOCAL_FILES = 16_384
_LOCAL_BYTES = 128 * 2**20
# On other stores, each file needs a request of about 50 ms.
_MAX_REMOTE_FILES = 64
_REMOTE_BYTES = 4 * 2**20
_AT_ONCE = 16
# Number of pieces of a file that is not read whole. The first and the last piece hold the sizes
# and indices of chunks.
_PIECES = 4


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size, time and hash of a stored file.

    Parameters
    ----------
    name : str
        Path or key, for messages; empty if there is no such file.
    digest : str
        Hash of key, size and bytes.
    whole : bool
        Whether all bytes were hashed.
    time : str
        Time of the last change, or the identity that the store gives instead; empty if unknown.
    order : float
        Greater for files that were changed later.
    """

    name: str
    digest: str
    whole: bool
    time: str = ""
    order: float = 0.0


def stamps_of(array: zarr.Array[Any], sample: Callable[[int], Iterable[str]]) -> list[Stamp]:
    """Stamps of the files that hold the voxels of an array.

    Parameters
    ----------
    array : zarr.Array
    sample : callable
        Takes a number, and returns at most this many keys of files. A key may have no file.
    """
    store: Store = array.store_path.store
    if isinstance(store, ZippedFiles) and store.local_path(""):
        # An archive is one file, and its end holds the checksums of all files inside.
        return _local([("", Path(store.local_path("")))])
    if isinstance(store, LocalFiles):
        return _local([(key, Path(store.place(key))) for key in sample(_MAX_LOCAL_FILES)])
    return list(sync(_remote(store, list(sample(_MAX_REMOTE_FILES)))))


def stamps_of_files(paths: Sequence[str]) -> list[Stamp]:
    """Stamps of local files, whatever their format; a copy in another folder has the same hash."""
    return _local([(os.path.basename(path), Path(path)) for path in paths])


def _local(files: list[tuple[str, Path]]) -> list[Stamp]:
    budget = _LOCAL_BYTES // max(len(files), 1)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(lambda file: _local_stamp(file[0], file[1], budget), files))


def _local_stamp(key: str, path: Path, budget: int) -> Stamp:
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            digest = _begun(key, about.st_size)
            for start, stop in _pieces(about.st_size, budget):
                file.seek(start)
                digest.update(file.read(stop - start))
    except (FileNotFoundError, NotADirectoryError):
        return _absent(key)
    whole = about.st_size <= budget
    time = about.st_mtime_ns
    return Stamp(str(path), digest.hexdigest(), whole, str(time), time)


async def _remote(store: Store, keys: list[str]) -> list[Stamp]:
    gate = asyncio.Semaphore(_AT_ONCE)
    budget = _REMOTE_BYTES // max(len(keys), 1)

    async def look(key: str) -> Stamp:
        async with gate:
            return await _remote_stamp(store, key, budget)

    return list(await asyncio.gather(*map(look, keys)))


async def _remote_stamp(store: Store, key: str, budget: int) -> Stamp:
    try:
        size = await store.getsize(key)
    except FileNotFoundError:
        return _absent(key)
    digest = _begun(key, size)
    for start, stop in _pieces(size, budget):
        piece = await store.get(key, default_buffer_prototype(), RangeByteRequest(start, stop))
        if piece is None:
            return _absent(key)
        digest.update(piece.to_bytes())
    whole = size <= budget
    return Stamp(key, digest.hexdigest(), whole, "" if whole else await _time(store, key))


async def _time(store: Store, key: str) -> str:
    """The time of the last change, or the ETag, from a remote store; empty if it gives none."""
    return await store.identity_of(key) if isinstance(store, CheckedStore) else ""


def _pieces(size: int, budget: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the pieces to read: the whole file, or pieces from its start to its end."""
    if size <= budget:
        if size:
            yield 0, size
        return
    length = budget // _PIECES
    for k in range(_PIECES):
        start = (size - length) * k // (_PIECES - 1)
        yield start, start + length


def _begun(key: str, size: int) -> hashlib.blake2b:
    return hashlib.blake2b(f"{key} {size} ".encode(), digest_size=8)


def _absent(key: str) -> Stamp:
    return Stamp("", _begun(key, -1).hexdigest(), whole=True)
