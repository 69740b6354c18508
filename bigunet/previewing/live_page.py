"""The page of a preview: shows what is computed, says how far it is, and follows new blocks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

from bigunet.options.choices import Output
from bigunet.previewing.chunk_server import Awaited, ChunkServer
from bigunet.previewing.computed_output import ComputedOutput
from bigunet.previewing.live_scene import scene_of
from bigunet.previewing.live_view import LiveView
from bigunet.previewing.session import Session
from bigunet.previewing.staleness import Staleness
from bigunet.viewing.position import voxel_at
from bigunet.viewing.scene import Scene
from bigunet.viewing.server import ViewerServer
from bigunet.viewing.serving import serve_scene
from bigunet.viewing.viewer_state import label_name, probability_name, renewed_state, state_of

_LOOK_SECONDS = 0.5
_QUIET_SECONDS = 1.5
"""A page reads anew when it has had all that it asked for this long."""
# Planes that nobody looks at would start blocks.
_CALM = {"prefetch": False, "layout": "xy"}


class LivePage:
    """A page in the browser; use it as a context manager.

    Parameters
    ----------
    session : Session
    position : mapping of str to int
        Voxels in the middle by axis; empty for the whole plane.
    port : int
        Port of the page; labels have the next one. 0 chooses free ones.

    Raises
    ------
    OptionError
        If neuroglancer is not installed, the port is taken, or there is no such position.
    """

    def __init__(self, session: Session, *, position: Mapping[str, int], port: int = 0) -> None:
        self._session = session
        self._staleness = Staleness()
        self._scene = scene_of(session)
        voxel_at(self._scene.main, position)
        self._closing = contextlib.ExitStack()
        self._server = self._closing.enter_context(ViewerServer(port=port))
        try:
            sources = _sources(self._scene, session.outputs, self._staleness)
            chunks = ChunkServer(
                f"http://127.0.0.1:{self._server.port}", sources, port=port + 1 if port else 0
            )
            self._chunks = self._closing.enter_context(chunks)
        except BaseException:
            self._closing.close()
            raise
        self._urls = serve_scene(self._server, self._scene)
        self._urls |= {name: self._chunks.url(name) for name in sources}
        self._server.show(state_of(self._scene, self._urls.__getitem__, position) | _CALM)
        self.url = self._server.url
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="bigunet-page", daemon=True)
        session.done.listen(lambda _: self._staleness.change())

    def __enter__(self) -> LivePage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._closing.close()

    def _follow(self) -> None:
        """Say how far the blocks are, and let the page read anew what has changed."""
        said, renewals = "", 0
        while not self._end.wait(_LOOK_SECONDS):
            if (line := self._session.pace.line) != said:
                self._server.say(line)
                said = line
            # Blocks that are waited for come without help, and a page that reads anew drops what
            # it shows.
            if self._chunks.quiet_seconds > _QUIET_SECONDS and self._staleness.renew():
                renewals += 1
                self._renew(renewals)

    def _renew(self, number: int) -> None:
        def address(name: str) -> str:
            url = self._urls[name]
            return f"{url}@{number}" if name in self._chunks.names else url

        def renewed(state: dict[str, Any]) -> dict[str, Any]:
            return renewed_state(state, self._scene, self._scene, address)

        self._server.change(renewed)


def _sources(
    scene: Scene, outputs: Mapping[Output, ComputedOutput], staleness: Staleness
) -> dict[str, Awaited]:
    """The zarrs that are computed, by the names of their layers."""
    sources: dict[str, Awaited] = {}
    for layer in scene.labels:
        sources[label_name(layer.name)] = LiveView(
            layer.image, is_label=True, computed=outputs["classes"], staleness=staleness
        )
    if scene.probabilities is not None:
        image = scene.probabilities.image
        for k in range(image.num_channels):
            sources[probability_name(k)] = LiveView(
                image, (k,), computed=outputs["probabilities"], staleness=staleness
            )
    return sources
