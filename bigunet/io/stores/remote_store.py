"""Zarr stores at URLs, through fsspec: only what is known not to be there is absent."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientResponse, ClientSession
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL
from zarr.abc.store import ByteRequest
from zarr.storage import FsspecStore

from bigunet.errors import BigUNetError, ImageError
from bigunet.io.stores.checked_store import CheckedStore, asked
from bigunet.urls import join_url, shown_url, split_query

_ADVICE = {
    401: "a password or token is needed, or another one",
    403: "you may not read it; check your password, token or its expiry",
    429: "the server has too much to do; wait, then --resume",
}
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")
_MISSING = 404
_CLOSE_SECONDS = 1
# The package that reads each kind of object store; the extra of bigunet that installs it.
_PACKAGES = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
}


class HttpFiles(HTTPFileSystem):  # type: ignore[misc]
    """Files of HTTP servers; whatever is neither there nor plainly absent is an ImageError.

    fsspec takes a redirection to a missing page for a missing file, and all of a file for a part
    of it where a server knows no parts.
    """

    # fsspec keeps each file system for those who ask for it again; theirs are to be their own.
    protocol = ("bigunet-http",)
    # It would keep one for each thread that ever asked, with a session each.
    cachable = False
    _session_loop: asyncio.AbstractEventLoop | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it is sent to, it is the one of that process."""
        return _http_files, ()

    async def set_session(self) -> ClientSession:
        """The session of this file system, which is closed when Python ends."""
        loop = asyncio.get_running_loop()
        if self._session_loop is not loop:
            # A session serves the loop that it began in alone.
            self._session, self._session_loop = None, loop
        begun = self._session is None
        session: ClientSession = await super().set_session()
        if begun:
            # Before zarr ends its loop, as it was told to earlier.
            atexit.register(_close, loop, session)
        return session

    def encode_url(self, url: str) -> URL:
        """The address with a query as it stands: what is signed must not be written otherwise."""
        base, query = split_query(url)
        return URL(str(URL(base)) + query, encoded=True)

    async def _cat_file(
        self, url: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        headers = {}
        if start is not None or end is not None:
            headers["Range"] = await self._process_limits(url, start, end)
        session = await self.set_session()
        async with session.get(self.encode_url(url), headers=headers) as response:
            body: bytes = await response.read()
        _check_answer(url, response, body)
        if headers and response.status == 200:
            return body[start:end]
        return body if response.status != 416 else b""

    async def _info(self, url: str, **_: Any) -> dict[str, Any]:
        """Size and identity, asked for with a byte: some servers allow no other question."""
        session = await self.set_session()
        async with session.get(self.encode_url(url), headers={"Range": "bytes=0-0"}) as response:
            _check_answer(url, response, b"")
            told = response.headers
            total = told.get("Content-Range", "").rpartition("/")[2]
            partial = response.status == 206 and total.isdigit()
            if not partial:
                total = told.get("Content-Length") or str(len(await response.read()))
            size = 0 if response.status == 416 else int(total)
            stamp = told.get("ETag") or told.get("Last-Modified", "")
        return {"name": url, "size": size, "type": "file", "ETag": stamp, "partial": partial}


def _close(loop: asyncio.AbstractEventLoop, session: ClientSession) -> None:
    if loop.is_closed():
        return
    with contextlib.suppress(Exception):
        asyncio.run_coroutine_threadsafe(session.close(), loop).result(_CLOSE_SECONDS)


def _check_answer(url: str, response: ClientResponse, body: bytes) -> None:
    """Raise FileNotFoundError where a file is not there, ImageError where that is unknown."""
    place, status = shown_url(url), response.status
    moved = response.history and not _same_file(url, str(response.url))
    if status == _MISSING and any(word.encode() in body for word in _NO_BUCKET):
        raise ImageError(f"{place}: its bucket does not exist; check the address")
    if moved and (status == _MISSING or _is_page(body)):
        raise ImageError(
            f"{place} is redirected to {shown_url(str(response.url))}: is a login needed?"
        )
    if status == _MISSING:
        raise FileNotFoundError(place)
    if status >= 400 and status != 416:
        advice = _ADVICE.get(status, "try again later, then --resume")
        raise ImageError(f"{place}: the server says {status} {response.reason}; {advice}")
    if _is_page(body):
        raise ImageError(f"{place} is a web page where a file should be: is a login needed?")


def _same_file(url: str, other: str) -> bool:
    """Whether an address was only moved to another server or folder."""
    names = [split_query(one)[0].rsplit("/", 2)[-2:] for one in (url, other)]
    return names[0] == names[1]


def _is_page(body: bytes) -> bool:
    return body[:512].lstrip().lower().startswith((b"<!doctype html", b"<html"))


class RemoteFiles(CheckedStore):
    """Files below a URL that fsspec knows.

    Parameters
    ----------
    url : str
        With what opens it: user and password, or a query, which goes with each request.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._fs, self._root = _file_system(url)

    def place(self, key: str) -> str:
        return shown_url(join_url(self._url, key))

    async def fetch(self, key: str, part: ByteRequest | None) -> bytes | None:
        found: bytes | None = await self._asked(
            key, self._fs._cat_file(join_url(self._root, key), **asked(part))
        )
        return found

    async def size_of(self, key: str) -> int | None:
        about = await self._asked(key, self._fs._info(join_url(self._root, key)))
        return None if about is None else int(about["size"])

    async def identity_of(self, key: str) -> str:
        about = await self._asked(key, self._fs._info(join_url(self._root, key)))
        return _identity(about or {})

    async def _asked(self, key: str, answer: Awaitable[Any]) -> Any:
        """What is answered of a file; None only where it is known not to be there."""
        try:
            return await answer
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            if any(word in str(cause) for cause in _causes(error) for word in _NO_BUCKET):
                raise ImageError(
                    f"{self.place(key)}: its bucket does not exist; check the address"
                ) from error
            return None
        except (BigUNetError, MemoryError, ImportError):
            raise
        except Exception as error:
            if "not satisfiable" in str(error):  # as S3 says of a part of an empty file
                return b""
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"cannot read {self.place(key)}: {reason[:200]}") from error

    async def names(self, folder: str) -> list[str]:
        if isinstance(self._fs, HTTPFileSystem):
            return []
        found = await self._fs._ls(join_url(self._root, folder), detail=False)
        return sorted(str(one).rstrip("/").rpartition("/")[2] for one in found)


class RemoteArchive:
    """An archive at a URL, to be opened anew where its size or identity changes.

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
        found: bytes = await self._fs._cat_file(self._path, start=start, end=stop)
        return found


async def remote_stamp(url: str) -> tuple[int, str] | None:
    """Size and identity of the file at a URL; None where there is none."""
    fs, path = _file_system(url)
    try:
        found = await fs._info(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    if found.get("type") != "file":
        return None
    if not found.get("partial", True):
        raise ImageError(
            f"{shown_url(url)}: its server does not give parts of files; download it first"
        )
    return int(found["size"]), _identity(found)


def _identity(about: Mapping[str, Any]) -> str:
    names = ("ETag", "etag", "LastModified", "mtime")
    return next((str(about[name]) for name in names if about.get(name)), "")


def _file_system(url: str) -> tuple[Any, str]:
    """A file system to be awaited, and the address in its words."""
    if url.lower().startswith(("http://", "https://")):
        return _http_files(), url
    bare, options = _with_keys(url)
    try:
        opened = FsspecStore.from_url(bare, storage_options=options, read_only=True)
    except ImportError as error:
        package, extra = _PACKAGES.get(url.partition("://")[0], ("", ""))
        if not package:
            raise
        raise ImageError(
            f"cannot read {shown_url(url)}: {package} is not installed; install it with "
            f"pip install 'bigunet[{extra}]'"
        ) from error
    return opened.fs, opened.path


def _http_files() -> HttpFiles:
    """The HTTP files of this process: all its threads await them on the loop of zarr."""
    return _http_files_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _http_files_of(process: int) -> HttpFiles:
    """A process that was forked has a number, and so a session, of its own."""
    return HttpFiles(asynchronous=True)


def _with_keys(url: str) -> tuple[str, dict[str, Any] | None]:
    """An address of S3 and the key and secret that stand in it, where some do."""
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
