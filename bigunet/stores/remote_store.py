"""Zarr stores and zip archives at URLs, through fsspec.

A file is missing only if the server says so; every other failure is an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from fsspec.implementations.http import HTTPFileSystem
from zarr.abc.store import ByteRequest
from zarr.storage import FsspecStore

from bigunet.errors import BigUNetError, ImageError
from bigunet.extras import how_to_add
from bigunet.stores.checked_store import CheckedStore, fsspec_range
from bigunet.stores.http_files import NO_BUCKET, http_files
from bigunet.urls import join_url, shown_url

# The package that reads each kind of object store; the extra of bigunet that installs it.
_PACKAGES = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
}


class RemoteFiles(CheckedStore):
    """Files below a URL that fsspec knows.

    Parameters
    ----------
    url : str
        It may hold a user and password, or a query, which is sent with each request.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._fs, self._root = _file_system(url)

    def place(self, key: str) -> str:
        return shown_url(join_url(self._url, key))

    async def fetch(self, key: str, part: ByteRequest | None) -> bytes | None:
        request = self._fs._cat_file(join_url(self._root, key), **fsspec_range(part))
        fetched: bytes | None = await self._answer(key, request)
        return fetched

    async def size_of(self, key: str) -> int | None:
        about = await self._answer(key, self._fs._info(join_url(self._root, key)))
        return None if about is None else int(about["size"])

    async def identity_of(self, key: str) -> str:
        about = await self._answer(key, self._fs._info(join_url(self._root, key)))
        return _identity(about or {})

    async def _answer(self, key: str, request: Awaitable[Any]) -> Any:
        """The answer to a request for a file; None only if the file certainly does not exist."""
        try:
            return await request
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if any(word in str(cause) for cause in _causes(error) for word in NO_BUCKET):
                raise ImageError(
                    f"{self.place(key)}: its bucket does not exist; check the address"
                ) from error
            return None
        except (BigUNetError, MemoryError, ImportError):
            raise
        except Exception as error:
            if "not satisfiable" in str(error):  # the answer of S3 for a part of an empty file
                return b""
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"cannot read {self.place(key)}: {reason[:200]}") from error

    async def names(self, folder: str) -> list[str]:
        if isinstance(self._fs, HTTPFileSystem):
            return []
        paths = await self._fs._ls(join_url(self._root, folder), detail=False)
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in paths)


class RemoteArchive:
    """An archive at a URL. If its size or identity changes, a new object is needed.

    Parameters
    ----------
    url : str
    size : int
    """

    def __init__(self, url: str, size: int) -> None:
        self.place = shown_url(url)
        self.size = size
        self._fs, self._path = _file_system(url)

    async def read(self, start: int, stop: int) -> bytes:
        part: bytes = await self._fs._cat_file(self._path, start=start, end=stop)
        return part


async def remote_stamp(url: str) -> tuple[int, str] | None:
    """Size and identity of the file at a URL; None if there is no file."""
    fs, path = _file_system(url)
    try:
        about = await fs._info(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    if about.get("type") != "file":
        return None
    if not about.get("partial", True):
        raise ImageError(
            f"{shown_url(url)}: its server does not give parts of files; download it first"
        )
    return int(about["size"]), _identity(about)


def _identity(about: Mapping[str, Any]) -> str:
    """A text that changes with the file; empty if the server gives none."""
    names = ("ETag", "etag", "LastModified", "mtime")
    return next((str(about[name]) for name in names if about.get(name)), "")


def _file_system(url: str) -> tuple[Any, str]:
    """The asynchronous file system of a URL, and the path in it."""
    if url.lower().startswith(("http://", "https://")):
        return http_files(), url
    bare, options = _with_keys(url)
    try:
        opened = FsspecStore.from_url(bare, storage_options=options, read_only=True)
    except ImportError as error:
        package, extra = _PACKAGES.get(url.partition("://")[0], ("", ""))
        if not package:
            raise
        raise ImageError(
            f"cannot read {shown_url(url)}: {package} is not installed; install it with "
            f"{how_to_add(extra)}"
        ) from error
    return opened.fs, opened.path


def _with_keys(url: str) -> tuple[str, dict[str, Any] | None]:
    """Split an address of S3 into the address without key and secret, and fsspec's options."""
    scheme, _, rest = url.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    key, colon, secret = user.partition(":")
    if scheme not in ("s3", "s3a") or not at or not colon:
        return url, None
    return f"{scheme}://{rest[len(user) + 1 :]}", {"key": unquote(key), "secret": unquote(secret)}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
