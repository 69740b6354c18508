"""The only door to the package neuroglancer: a server with its page, and the state of the page."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from bigunet.errors import OptionError
from bigunet.extras import how_to_add


def load_neuroglancer() -> Any:
    """The package neuroglancer, with its server.

    Raises
    ------
    OptionError
        If it is not installed.
    """
    try:
        import neuroglancer.server
        import neuroglancer.viewer_base
    except ImportError as error:
        raise OptionError(
            f"the viewer needs neuroglancer: {how_to_add('view')}, or give --snapshot"
        ) from error
    return neuroglancer


def new_server(address: str, port: int, handlers: Sequence[Any]) -> Any:
    """Start a server of neuroglancer's page in a thread, with more handlers beside it.

    Raises
    ------
    OSError
        If the port is taken.
    """
    neuroglancer = load_neuroglancer()
    # Tornado leaves a socket open where it cannot bind it.
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind((address, port))

    class Server(neuroglancer.server.Server):  # type: ignore[misc,name-defined]
        def _attempt_to_start_server(self) -> None:
            super()._attempt_to_start_server()
            self.app.add_handlers(".*", list(handlers))

        def _run_server(self) -> None:
            super()._run_server()
            # The thread that ends leaves no loop behind.
            asyncio.set_event_loop(None)

    return Server(bind_address=address, bind_port=port)


def new_viewer(server: Any, token: str) -> Any:
    """The state of a page of a server, which the server knows by the token."""
    neuroglancer = load_neuroglancer()

    class Viewer(neuroglancer.viewer_base.ViewerBase):  # type: ignore[misc,name-defined]
        def defer_callback(self, callback: Any, *args: Any, **keywords: Any) -> None:
            server.loop.call_soon_threadsafe(lambda: callback(*args, **keywords))

    viewer = Viewer(token=token, allow_credentials=False)
    server.viewers[token] = viewer
    return viewer
