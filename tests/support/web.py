"""A small local web server for tests: it serves a folder, with ranges, and faults on request."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

LOGIN_PAGE = b"<!DOCTYPE html><html><form action='/login'></form></html>"

Answer = tuple[int, dict[str, str], bytes]
Fault = Callable[[str, Mapping[str, str]], "Answer | None"]


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Ignore clients that close the connection."""


@contextlib.contextmanager
def served(
    folder: Path, fault: Fault = lambda path, headers: None, *, ranges: bool = True
) -> Iterator[str]:
    """The URL of a server for a folder.

    ``fault`` is called with each path (query included) and with the headers. It returns the status,
    headers and body to answer; or None, to answer with the file in the folder.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def do_GET(self) -> None:
            answer = fault(self.path, self.headers)
            if answer is not None:
                self._answer(*answer)
                return
            path = folder / unquote(self.path.partition("?")[0]).lstrip("/")
            if not path.is_file():
                self._answer(404, {}, b"")
                return
            body = path.read_bytes()
            asked = self.headers.get("Range", "") if ranges else ""
            if not asked:
                self._answer(200, {}, body)
                return
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, len(body) - int(last))
            stop = min(int(last) + 1, len(body)) if first and last else len(body)
            if start >= len(body):
                self._answer(416, {}, b"")
                return
            headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
            self._answer(206, headers, body[start:stop])

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
