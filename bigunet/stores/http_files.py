"""Files of HTTP servers, through fsspec: each answer is checked before its bytes are used."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
from typing import Any

from aiohttp import ClientResponse, ClientSession
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL

from bigunet.errors import ImageError
from bigunet.urls import shown_url, split_query

_ADVICE = {
    401: "a password or token is needed, or another one",
    403: "you may not read it; check your password, token or its expiry",
    429: "the server is overloaded; wait, then --resume",
}
NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")
"""Words of an answer that says that a bucket does not exist."""
_MISSING = 404
_CLOSE_SECONDS = 1


class HttpFiles(HTTPFileSystem):  # type: ignore[misc]
    """Files of HTTP servers. An answer is a file, a missing file, or an ImageError.

    fsspec alone makes two mistakes: it takes a redirection to a missing page as a missing file,
    and it takes a whole file as a part of it if a server ignores the range of a request.
    """

    # fsspec caches file systems by protocol; other users of "http" must not get this one.
    protocol = ("bigunet-http",)
    # fsspec would keep one file system, with a session, for each thread that ever needed one.
    cachable = False
    _session_loop: asyncio.AbstractEventLoop | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process, unpickling gives the file system of that process."""
        return http_files, ()

    async def set_session(self) -> ClientSession:
        """Return the session of this file system; it is closed when Python ends."""
        loop = asyncio.get_running_loop()
        if self._session_loop is not loop:
            # A session works only in the loop in which it began.
            self._session, self._session_loop = None, loop
        begun = self._session is None
        session: ClientSession = await super().set_session()
        if begun:
            # The last registered function runs first, so this one runs before zarr stops its loop.
            atexit.register(_close, loop, session)
        return session

    def encode_url(self, url: str) -> URL:
        """Return the address with its query unchanged, because a query may be signed."""
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
        """Size and identity of a file, from a request for one byte; some servers allow no other."""
        session = await self.set_session()
        async with session.get(self.encode_url(url), headers={"Range": "bytes=0-0"}) as response:
            _check_answer(url, response, b"")
            headers = response.headers
            total = headers.get("Content-Range", "").rpartition("/")[2]
            partial = response.status == 206 and total.isdigit()
            if not partial:
                total = headers.get("Content-Length") or str(len(await response.read()))
            size = 0 if response.status == 416 else int(total)
            stamp = headers.get("ETag") or headers.get("Last-Modified", "")
        return {"name": url, "size": size, "type": "file", "ETag": stamp, "partial": partial}


def _close(loop: asyncio.AbstractEventLoop, session: ClientSession) -> None:
    if loop.is_closed():
        return
    with contextlib.suppress(Exception):
        asyncio.run_coroutine_threadsafe(session.close(), loop).result(_CLOSE_SECONDS)


def _check_answer(url: str, response: ClientResponse, body: bytes) -> None:
    """Raise FileNotFoundError if a file does not exist, and ImageError if that is unknown."""
    place, status = shown_url(url), response.status
    moved = response.history and not _same_file(url, str(response.url))
    if status == _MISSING and any(word.encode() in body for word in NO_BUCKET):
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
    """Whether two addresses end in the same folder and file name."""
    names = [split_query(one)[0].rsplit("/", 2)[-2:] for one in (url, other)]
    return names[0] == names[1]


def _is_page(body: bytes) -> bool:
    return body[:512].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def http_files() -> HttpFiles:
    """The file system of this process; all threads use it, in the loop of zarr."""
    return _http_files_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _http_files_of(process: int) -> HttpFiles:
    """A forked process has a number of its own, and so gets a file system of its own."""
    return HttpFiles(asynchronous=True)
