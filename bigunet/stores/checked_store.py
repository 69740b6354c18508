"""A read-only zarr store that checks each file for completeness; subclasses fetch the bytes.

Zarr replaces a missing chunk by the fill value, so every other failure must be an error.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from bigunet.errors import ImageError

MAX_METADATA_BYTES = 64_000_000
"""Largest size of a metadata file; consolidated metadata of large plates have about 20 MB."""

_METADATA = {"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"}


class CheckedStore(Store):
    """Files by key. Empty files, files cut short, and metadata that are too large are errors.

    Zarr takes an empty file as a missing chunk, which has the fill value.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self) -> None:
        super().__init__(read_only=True)

    @abstractmethod
    async def fetch(self, key: str, part: ByteRequest | None) -> bytes | None:
        """The bytes of a file or of a part; None only if the file certainly does not exist."""

    @abstractmethod
    def place(self, key: str) -> str:
        """The name of a file in an error."""

    @abstractmethod
    async def names(self, folder: str) -> list[str]:
        """Names of the files and folders in a folder."""

    @abstractmethod
    async def size_of(self, key: str) -> int | None:
        """Size of a file in bytes; None if it does not exist."""

    def local_path(self, key: str) -> str:
        """The path of the local file that holds a key; empty if it is not on this machine."""
        return ""

    async def identity_of(self, key: str) -> str:
        """A text from the store that changes with the file, such as an ETag; empty if none."""
        return ""

    async def getsize(self, key: str) -> int:
        size = await self.size_of(key)
        if size is None:
            raise FileNotFoundError(self.place(key))
        return size

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        fetched = await self.fetch(key, byte_range)
        if fetched is None:
            return None
        self._check(key, len(fetched), byte_range)
        return (prototype or default_buffer_prototype()).buffer.from_bytes(fetched)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        return await self.get(key, byte_range=RangeByteRequest(0, 1)) is not None

    def _check(self, key: str, size: int, part: ByteRequest | None) -> None:
        """Raise an ImageError if a file, or a part of it, does not have all of its bytes."""
        if size == 0:
            raise ImageError(
                f"cannot read {self.place(key)}: it is empty (0 bytes), so it was not written "
                "whole; copy it again"
            )
        expected = size
        if isinstance(part, RangeByteRequest):
            expected = part.end - part.start
        elif isinstance(part, SuffixByteRequest):
            expected = part.suffix
        if size != expected:
            raise ImageError(
                f"cannot read {self.place(key)}: it is cut short or damaged, with {size} bytes "
                f"where {expected} should be; copy it again"
            )
        check_size(key, size, self.place(key))

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for name in await self.names(prefix.strip("/")):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        waiting = [prefix.strip("/")]
        while waiting:
            folder = waiting.pop()
            for name in await self.names(folder):
                key = f"{folder}/{name}".lstrip("/")
                if await self.names(key):
                    waiting.append(key)
                else:
                    yield key

    def list(self) -> AsyncIterator[str]:
        return self.list_prefix("")

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()

    async def delete(self, key: str) -> None:
        self._check_writable()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(self) == str(other)

    def __str__(self) -> str:
        return self.place("")


def check_size(key: str, size: int, place: str) -> None:
    """Raise an ImageError if a metadata file is too large."""
    if size > MAX_METADATA_BYTES and key.rpartition("/")[2] in _METADATA:
        raise ImageError(
            f"{place} has {size:,} bytes, but metadata have {MAX_METADATA_BYTES:,} at most; it is "
            "damaged or of something else"
        )


def limits(part: ByteRequest | None, size: int) -> tuple[int, int]:
    """Start and stop of a part, in bytes, in a file of this size."""
    if isinstance(part, RangeByteRequest):
        return part.start, min(part.end, size)
    if isinstance(part, OffsetByteRequest):
        return part.offset, size
    if isinstance(part, SuffixByteRequest):
        return max(0, size - part.suffix), size
    return 0, size


def fsspec_range(part: ByteRequest | None) -> dict[str, Any]:
    """A part of a file as the arguments ``start`` and ``end`` of fsspec."""
    if isinstance(part, RangeByteRequest):
        return {"start": part.start, "end": part.end}
    if isinstance(part, OffsetByteRequest):
        return {"start": part.offset, "end": None}
    if isinstance(part, SuffixByteRequest):
        return {"start": -part.suffix, "end": None}
    return {"start": None, "end": None}
