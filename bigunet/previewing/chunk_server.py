"""Serves chunks that take their time, on a port of their own.

A browser keeps six connections to a port. If chunks that are computed came from the port of the
page, the image would have to wait for them.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import tornado.web

from bigunet.engine.wishes import Wish
from bigunet.errors import BigUNetError, OptionError

_ADDRESS = "127.0.0.1"
_TOKEN_BYTES = 20
_READERS = 4


class Awaited(Protocol):
    """Bytes of keys, of which some wait for blocks. Several threads call it at the same time."""

    def get(self, key: str) -> bytes | None:
        """The bytes of a key as far as they are computed; None if there is no such key."""
        ...

    def ask(self, key: str) -> list[Wish]:
        """Ask for the blocks that a key must wait for."""
        ...

    def drop(self, wishes: list[Wish]) -> None:
        """Take requests back."""
        ...


class ChunkServer:
    """Serves bytes on the loopback to one page; use it as a context manager.

    Parameters
    ----------
    origin : str
        The origin of the page, such as ``"http://127.0.0.1:8000"``; browsers let no other page
        read.
    sources : mapping of str to Awaited
    port : int
        0 chooses a free one.

    Raises
    ------
    OptionError
        If the port is taken.
    """

    def __init__(self, origin: str, sources: dict[str, Awaited], *, port: int = 0) -> None:
        self.origin = origin
        self.num_held = 0
        self._asked = time.monotonic()
        self._sources = sources
        self._token = secrets.token_hex(_TOKEN_BYTES)
        self._port = port
        self._refused: OSError | None = None
        self._pool = ThreadPoolExecutor(_READERS, "bigunet-preview")
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="bigunet-chunks", daemon=True)

    def __enter__(self) -> ChunkServer:
        self._thread.start()
        self._ready.wait()
        if self._refused is not None:
            self._pool.shutdown()
            reason = self._refused.strerror or self._refused
            raise OptionError(
                f"port {self._port}, for labels: {reason}; give another --port, or none"
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def names(self) -> frozenset[str]:
        """Names of the sources."""
        return frozenset(self._sources)

    def url(self, name: str) -> str:
        """The URL in front of the keys of a source. Behind it may stand ``@`` and a number."""
        return f"http://{_ADDRESS}:{self._port}/data/{self._token}/{name}"

    def source(self, token: str, name: str) -> Awaited | None:
        """The source of a name; None if there is none, or the token is wrong."""
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        return self._sources.get(name.partition("@")[0])

    async def read(self, source: Awaited, key: str) -> bytes | None:
        """The bytes of a key, read by a thread of the server."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, source.get, key)
        finally:
            self._asked = time.monotonic()

    @property
    def quiet_seconds(self) -> float:
        """Time since the page last got bytes; 0 while it waits for blocks."""
        return 0.0 if self.num_held else time.monotonic() - self._asked

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._refused = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        handlers: list[Any] = [(r"/data/([^/]+)/([^/]+)/(.*)", _Chunk, {"server": self})]
        application = tornado.web.Application(handlers, log_function=lambda _: None)
        server = application.listen(self._port, _ADDRESS)
        (socket,) = server._sockets.values()
        self._port = socket.getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.stop()
        await server.close_all_connections()


class _Chunk(tornado.web.RequestHandler):
    """Answers with a chunk when its blocks are done; a browser that goes away takes it back."""

    def initialize(self, server: ChunkServer) -> None:
        self._of = server
        self._gone = asyncio.get_running_loop().create_future()

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Type", "application/octet-stream")

    def prepare(self) -> None:
        self.set_header("Access-Control-Allow-Origin", self._of.origin)

    def on_connection_close(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    async def get(self, token: str, name: str, key: str) -> None:
        source = self._of.source(token, name)
        if source is None:
            self.set_status(403)
            return
        try:
            if not await self._blocks_are_done(source, key):
                return
            content = await self._of.read(source, key)
        except BigUNetError as error:
            self.set_status(500)
            self.write(str(error))
            return
        if content is None:
            self.set_status(404)
        else:
            self.write(content)

    async def _blocks_are_done(self, source: Awaited, key: str) -> bool:
        """Wait for the blocks of a key; False if the browser does not wait any more."""
        wishes = source.ask(key)
        if not wishes:
            return True
        self._of.num_held += 1
        waiting = asyncio.gather(*(asyncio.wrap_future(wish.future) for wish in wishes))
        try:
            await asyncio.wait([waiting, self._gone], return_when=asyncio.FIRST_COMPLETED)
            if self._gone.done():
                return False
            await waiting
            return True
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            source.drop(wishes)
            self._of.num_held -= 1
