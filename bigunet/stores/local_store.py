"""Zarr stores in local folders; only regular files are opened, because a pipe could block."""

from __future__ import annotations

import asyncio
import os
import stat

from zarr.abc.store import ByteRequest

from bigunet.errors import ImageError
from bigunet.stores.checked_store import CheckedStore, check_size, limits

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class LocalFiles(CheckedStore):
    """Files below a folder.

    Parameters
    ----------
    root : str
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = root

    def place(self, key: str) -> str:
        return os.path.join(self._root, key) if key else self._root

    async def fetch(self, key: str, part: ByteRequest | None) -> bytes | None:
        return await asyncio.to_thread(_read, self.place(key), part)

    def local_path(self, key: str) -> str:
        return self.place(key)

    async def size_of(self, key: str) -> int | None:
        return await asyncio.to_thread(_size_of, self.place(key))

    async def exists(self, key: str) -> bool:
        size = await self.size_of(key)
        if size is not None:
            self._check(key, size, None)
        return size is not None

    async def names(self, folder: str) -> list[str]:
        try:
            return sorted(await asyncio.to_thread(os.listdir, self.place(folder)))
        except (FileNotFoundError, NotADirectoryError):
            return []


def irregular(path: str) -> str:
    """The kind of a path that is no regular file, such as "a named pipe"; empty for a file.

    Raises
    ------
    OSError
        If the path does not exist, or cannot be accessed.
    """
    return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode), "")


def _size_of(path: str) -> int | None:
    try:
        kind = irregular(path)
        if kind:
            raise ImageError(f"{path} is {kind} where a file should be")
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(path: str, part: ByteRequest | None) -> bytes | None:
    # This check comes before open: to open a pipe waits for a writer, to open a device may do
    # anything.
    size = _size_of(path)
    if size is None:
        return None
    check_size(path, size, path)
    try:
        with open(path, "rb") as file:
            if part is None:
                return file.read()
            start, stop = limits(part, os.fstat(file.fileno()).st_size)
            file.seek(start)
            return file.read(max(0, stop - start))
    except FileNotFoundError:
        return None
