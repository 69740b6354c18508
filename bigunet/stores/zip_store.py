"""Zarr stores in zip archives, such as ``.ozx`` of RFC-9, local or remote; threads share a store.

The directory at the end of an archive is read once. Files are read at their offset, without a lock.
"""

from __future__ import annotations

import asyncio
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from typing import Any, Protocol

from zarr.abc.store import ByteRequest
from zarr.core.sync import sync

from bigunet.errors import ImageError
from bigunet.stores.checked_store import CheckedStore, check_size, limits

NODES = ("zarr.json", ".zgroup", ".zarray")
"""Each zarr node has one of these files."""

_HEADER = struct.Struct("<4s22x2H")
_BUFFER_BYTES = 1 << 18
_ENCRYPTED, _UTF8 = 1, 0x800
_ENTRY_BYTES = 46
_RECORD_BYTES = 56


class Archive(Protocol):
    """The bytes of an archive."""

    @property
    def place(self) -> str:
        """Name of the archive in an error."""

    @property
    def size(self) -> int:
        """Size of the archive in bytes."""

    async def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` to ``stop``."""


class LocalArchive:
    """A local archive that must not change while it is read.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path: str) -> None:
        self.place = path
        self.stamp = stamp_of(path)

    @property
    def size(self) -> int:
        return self.stamp[0]

    async def read(self, start: int, stop: int) -> bytes:
        return await asyncio.to_thread(self._read, start, stop)

    def _read(self, start: int, stop: int) -> bytes:
        with open(self.place, "rb") as file:
            if stamp_of(file.fileno()) != self.stamp:
                raise ImageError(f"{self.place} changed while it was read; start again")
            file.seek(start)
            return file.read(stop - start)


def stamp_of(file: str | int) -> tuple[int, int, int]:
    """Size, time and inode number of a file; one of them changes when the file is written again."""
    about = os.stat(file)
    return about.st_size, about.st_mtime_ns, about.st_ino


class ZippedFiles(CheckedStore):
    """The files in an archive.

    Parameters
    ----------
    archive : Archive

    Raises
    ------
    ImageError
        If the archive is damaged or cut short.
    """

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self._archive = archive
        try:
            file = io.BufferedReader(_Seekable(archive), _BUFFER_BYTES)
            with zipfile.ZipFile(file) as opened:
                infos = opened.infolist()
                _check_directory(file, opened.start_dir, infos)
        except (zipfile.BadZipFile, struct.error, EOFError, UnicodeDecodeError) as error:
            raise ImageError(
                f"{archive.place} is a zip archive cut short or damaged ({error}); copy it again"
            ) from error
        self._files = {_name(info.filename): info for info in infos if not info.is_dir()}
        self._folders: dict[str, set[str]] | None = None

    @property
    def files(self) -> Iterable[str]:
        """Keys of all files."""
        return self._files.keys()

    def inside(self, path: str) -> str:
        """The path in the archive for a path in the zarr, which may lie in a folder of its own."""
        if any(name in self._files for name in NODES):
            return path
        roots = {folder for folder in (_root_of(key) for key in self._files) if folder}
        if len(roots) != 1:
            return path
        (root,) = roots
        return path if f"{path}/".startswith(f"{root}/") else f"{root}/{path}".rstrip("/")

    def place(self, key: str) -> str:
        return f"{self._archive.place}/{key}" if key else self._archive.place

    def local_path(self, key: str) -> str:
        return self._archive.place if isinstance(self._archive, LocalArchive) else ""

    async def size_of(self, key: str) -> int | None:
        info = self._files.get(key)
        return None if info is None else info.file_size

    async def identity_of(self, key: str) -> str:
        return f"{self._files[key].CRC:08x}" if key in self._files else ""

    async def exists(self, key: str) -> bool:
        info = self._files.get(key)
        if info is not None:
            self._check(key, info.file_size, None)
        return info is not None

    async def fetch(self, key: str, part: ByteRequest | None) -> bytes | None:
        info = self._files.get(key)
        if info is None:
            return None
        check_size(key, info.file_size, self.place(key))
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise ImageError(
                f"{self.place(key)} is encrypted, or its compression is not supported; zip it "
                "again, stored or deflated"
            )
        begin = await self._begin(key, info)
        start, stop = limits(part, info.file_size)
        if info.compress_type == zipfile.ZIP_STORED and part is not None:
            return await self._archive.read(begin + start, begin + max(start, stop))
        packed = await self._archive.read(begin, begin + info.compress_size)
        whole = packed
        if info.compress_type == zipfile.ZIP_DEFLATED:
            whole = await asyncio.to_thread(self._unpacked, key, packed, info.file_size)
        if len(whole) != info.file_size or zlib.crc32(whole) != info.CRC:
            raise self._damaged(key)
        return whole[start:stop]

    async def names(self, folder: str) -> list[str]:
        if self._folders is None:
            self._folders = {}
            for key in self._files:
                while key:
                    above, _, name = key.rpartition("/")
                    self._folders.setdefault(above, set()).add(name)
                    key = above
        return sorted(self._folders.get(folder, ()))

    async def _begin(self, key: str, info: zipfile.ZipInfo) -> int:
        """Offset of the bytes of a file, which is after its header; the header holds its length."""
        header = await self._archive.read(info.header_offset, info.header_offset + _HEADER.size)
        if len(header) < _HEADER.size:
            raise self._damaged(key)
        magic, name_length, extra_length = _HEADER.unpack(header)
        if magic != b"PK\x03\x04":
            raise self._damaged(key)
        return info.header_offset + _HEADER.size + int(name_length) + int(extra_length)

    def _unpacked(self, key: str, packed: bytes, size: int) -> bytes:
        try:
            # The limit is the size from the directory, because a few bytes could unpack to fill
            # the memory.
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
        except zlib.error as error:
            raise self._damaged(key) from error

    def _damaged(self, key: str) -> ImageError:
        return ImageError(f"{self.place(key)} is damaged in its zip archive; copy that again")


def _check_directory(file: Any, start: int, infos: list[zipfile.ZipInfo]) -> None:
    """Check that the directory is whole, because zarr gives files that it lacks the fill value.

    The record after the directory holds the number of files.
    """
    for info in infos:
        name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
        start += _ENTRY_BYTES + len(name) + len(info.extra) + len(info.comment)
    file.seek(start)
    record = file.read(_RECORD_BYTES)
    counts = {b"PK\x05\x06": ("<H", 10), b"PK\x06\x06": ("<Q", 32)}
    kind, offset = counts.get(record[:4], ("", 0))
    if not kind or struct.unpack_from(kind, record, offset)[0] != len(infos):
        raise zipfile.BadZipFile("its directory lacks files")


def _name(stated: str) -> str:
    """Key of a file; some programs write ``./`` in front, or backslashes as separators."""
    name = stated if "/" in stated else stated.replace("\\", "/")
    return name.removeprefix("./")


def _root_of(key: str) -> str:
    """The top folder, if a file shows that it is a zarr node; else empty."""
    folder, _, name = key.partition("/")
    return folder if name in NODES else ""


class _Seekable(io.RawIOBase):
    """An archive as a seekable file, from which zipfile reads the directory."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._archive.size}[whence]
        if base + offset < 0:
            raise OSError("before the start of the archive")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._at + len(buffer), self._archive.size)
        part = sync(self._archive.read(self._at, stop)) if stop > self._at else b""
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
