"""A server on this machine alone: neuroglancer's page, and objects that give bytes of keys.

All is behind one random token. Page and bytes have one origin, so no other page of the browser
may read them, and no header says otherwise.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import tornado.web

from bigunet.errors import BigUNetError, OptionError
from bigunet.viewing.byte_ranges import byte_range
from bigunet.viewing.neuroglancer_server import new_server, new_viewer

ADDRESS = "127.0.0.1"
_TOKEN_BYTES = 20
_LARGEST_PORT = 65535
_READERS = 8
"""Threads that read bytes; a browser asks for six keys at a time."""


class Served(Protocol):
    """What a name of a :class:`ViewerServer` stands for: bytes of keys.

    Several threads call :meth:`get` at the same time.
    """

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, such as ``"0/c/1/2"``; None if there are none: the answer 404.

        A BigUNetError becomes the answer 500 with its line.
        """
        ...


class ViewerServer:
    """Serves a page with neuroglancer, and objects beside it, on the loopback.

    Parameters
    ----------
    port : int
        0 chooses a free one.

    Attributes
    ----------
    url : str
        Address of the page, with the token.
    port : int

    Raises
    ------
    OptionError
        If neuroglancer is not installed, or the port is taken.
    """

    def __init__(self, *, port: int = 0) -> None:
        if not 0 <= port <= _LARGEST_PORT:
            raise OptionError(f"port {port}: give a number from 1 to {_LARGEST_PORT}, or 0")
        self._token = secrets.token_hex(_TOKEN_BYTES)
        self._objects: dict[str, Served] = {}
        self._pool = ThreadPoolExecutor(_READERS, "bigunet-view")
        self._asked = time.monotonic()
        handlers: list[Any] = [
            (r"/data/([^/]+)/([^/]+)/(.*)", _Bytes, {"server": self}),
            (r"/data(?:/.*)?", _Forbidden),
            (r"/favicon.ico", _NoIcon),
        ]
        try:
            self._server = new_server(ADDRESS, port, handlers)
        except OSError as error:
            raise OptionError(
                f"port {port}: {error.strerror or error}; give another --port, or none"
            ) from error
        self._viewer = new_viewer(self._server, self._token)
        self.port: int = self._server.port
        self.url = f"{self._root}/v/{self._token}/"

    def serve(self, name: str, source: Served) -> str:
        """Serve an object under a name; the result is the URL in front of its keys.

        Behind the name, the URL may have ``@`` and any number: viewers keep what they read, and
        read anew from another URL.
        """
        self._objects[name] = source
        return f"{self._root}/data/{self._token}/{name}"

    def show(self, state: dict[str, Any]) -> None:
        """Show a state of neuroglancer, as JSON."""
        self._viewer.set_state(state)

    def change(self, function: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Replace the state that is shown by a function of it; the browser follows at once."""
        with self._viewer.shared_state._lock:
            self._viewer.set_state(function(dict(self._viewer.shared_state.raw_state)))

    def say(self, line: str) -> None:
        """Show a line at the edge of the page, in the place of the one before."""
        with self._viewer.config_state.txn() as changed:
            changed.status_messages["bigunet"] = line

    @property
    def state(self) -> dict[str, Any]:
        """The state that is shown; it follows what the user does in the browser."""
        return dict(self._viewer.shared_state.raw_state)

    def knows(self, token: str) -> bool:
        """Whether this is the token of the server."""
        return hmac.compare_digest(token.encode(), self._token.encode())

    def bytes_of(self, name: str, key: str) -> Future[bytes | None]:
        """The bytes of a key of a served object, read by a thread of the server."""
        source = self._objects.get(name.partition("@")[0])
        self._asked = time.monotonic()
        return self._pool.submit(self._read, source, key)

    def _read(self, source: Served | None, key: str) -> bytes | None:
        try:
            return None if source is None else source.get(key)
        finally:
            self._asked = time.monotonic()

    @property
    def quiet_seconds(self) -> float:
        """Time since the page last asked for bytes, or got some."""
        return time.monotonic() - self._asked

    def close(self) -> None:
        """Stop the server; pages that are open show nothing new."""
        self._server.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> ViewerServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _root(self) -> str:
        return f"http://{ADDRESS}:{self._server.port}"


class _Forbidden(tornado.web.RequestHandler):
    """Answers 403 to all that has no valid token."""

    def get(self, *_: str) -> None:
        self.set_status(403)
        self.finish()

    head = post = put = delete = patch = options = get


class _NoIcon(tornado.web.RequestHandler):
    """Browsers ask for an icon, and note an error where there is no answer."""

    def get(self) -> None:
        self.set_status(204)
        self.finish()


class _Bytes(tornado.web.RequestHandler):
    """Answers with the bytes of a key of an object."""

    def initialize(self, server: ViewerServer) -> None:
        self._of = server

    async def get(self, token: str, name: str, key: str) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        if not self._of.knows(token):
            self._end(403)
            return
        try:
            content = await asyncio.wrap_future(self._of.bytes_of(name, key))
        except BigUNetError as error:
            self._end(500, str(error).encode())
            return
        if content is None:
            self._end(404)
        else:
            self._answer(content)

    async def head(self, token: str, name: str, key: str) -> None:
        await self.get(token, name, key)

    def _answer(self, content: bytes) -> None:
        self.set_header("Accept-Ranges", "bytes")
        asked = byte_range(self.request.headers.get("Range", ""), len(content))
        if asked is None and content:
            self.set_header("Content-Range", f"bytes */{len(content)}")
            self._end(416)
            return
        start, stop = asked or (0, 0)
        if (start, stop) != (0, len(content)):
            self.set_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
            self._end(206, content[start:stop])
        else:
            self._end(200, content)

    def _end(self, status: int, content: bytes = b"") -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(content)
