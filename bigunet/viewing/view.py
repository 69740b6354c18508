"""The verb ``view``: a scene on a server of this machine, which follows a run that is under way."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bigunet.errors import BigUNetError
from bigunet.options.short_repr import line_repr
from bigunet.segmentation.place import RUN_FOLDER
from bigunet.viewing.open_scene import SceneRequest, open_scene
from bigunet.viewing.position import parse_position, voxel_at
from bigunet.viewing.scene import Scene
from bigunet.viewing.server import ViewerServer
from bigunet.viewing.serving import serve_scene
from bigunet.viewing.viewer_state import renewed_state, state_of

_LOOK_SECONDS, _QUIET_SECONDS = 1.0, 2.0
"""A run is looked at this often, but only when the page has had all that it asked for this long.

A page that reads labels anew drops those that it shows, so it needs time to show them.
"""


def view(
    path: str | Path,
    *,
    image: str | Path = "",
    labels: Sequence[str | Path] = (),
    field: str = "",
    axes: str = "",
    position: str = "",
    port: int = 0,
) -> View:
    """Serve an image, its labels and their table to a page in the browser of this machine.

    Parameters
    ----------
    path : str or Path
        An image of any format, a label image, an output of bigunet, finished or not, or a plate.
    image : str or Path
        The image of an output, where it is not at the place that the output names.
    labels : sequence of str or Path
        Label images to show over the image.
    field : str
        The field of a plate, such as ``"A/1/0"``.
    axes : str
        Letters of the axes, such as ``"yxc"``, for an image that does not state them.
    position : str
        Voxels in the middle by axis, such as ``"x=1200,y=800"``; else the middle of the image.
    port : int
        Port on the loopback; 0 chooses a free one.

    Returns
    -------
    View
        The served page; close it, or use it in ``with``.

    Raises
    ------
    ImageError
        If there is nothing that can be shown.
    OptionError
        If an option does not fit what is there, the port is taken, or neuroglancer is missing.
    """
    given = SceneRequest(path=path, image=image, labels=labels, field=field, axes=axes)
    return View(given, position=parse_position(position), port=port)


class View:
    """A page that shows a scene; it lives until it is closed.

    Parameters
    ----------
    request : SceneRequest
        What is shown.
    position : mapping of str to int, optional
        Voxels in the middle by axis; else the middle of the image.
    port : int, optional
        0 chooses a free one.

    Attributes
    ----------
    url : str
        Address of the page, with the token without which nothing is served.
    notes : tuple of str
        Lines about what is not shown.
    """

    def __init__(
        self,
        request: SceneRequest,
        *,
        position: Mapping[str, int] | None = None,
        port: int = 0,
    ) -> None:
        self._request = request
        self._scene = open_scene(request)
        self._seen = _record_of(self._scene)
        self._reads = 0
        # Before a server begins that nobody would stop.
        voxel_at(self._scene.main, position or {})
        self._server = ViewerServer(port=port)
        urls = serve_scene(self._server, self._scene)
        self._server.show(state_of(self._scene, urls.__getitem__, position or {}))
        self.url = self._server.url
        self.notes = self._scene.notes

    def __repr__(self) -> str:
        return line_repr(self, self.url)

    @property
    def state(self) -> dict[str, Any]:
        """The state of neuroglancer, as JSON; it follows what the user does in the browser."""
        return self._server.state

    @property
    def is_running(self) -> bool:
        """Whether a run is writing what is shown, or was cut off."""
        return self._scene.run is not None

    def refresh(self) -> bool:
        """Show what a run has written since the last look; whether there was something new."""
        record = _record_of(self._scene)
        if not self.is_running or record == self._seen:
            return False
        try:
            scene = open_scene(self._request)
        except BigUNetError:
            # The run is writing metadata at this moment, or begins anew: look again later.
            return False
        self._seen, self._reads = record, self._reads + 1
        urls = serve_scene(self._server, scene)
        before, self._scene = self._scene, scene
        self._server.change(
            lambda state: renewed_state(
                state, before, scene, lambda name: f"{urls[name]}@{self._reads}"
            )
        )
        return True

    def follow(self, stop: threading.Event) -> None:
        """Show the blocks of a run as they are written, until ``stop`` is set."""
        while not stop.wait(_LOOK_SECONDS):
            if self._server.quiet_seconds > _QUIET_SECONDS:
                self.refresh()

    def close(self) -> None:
        """Stop the server; a page that is open shows nothing new."""
        self._server.close()

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _record_of(scene: Scene) -> tuple[tuple[str, int], ...]:
    """Names and sizes of the files of a run's record, which grow with each block."""
    if scene.run is None:
        return ()
    folder = scene.run / RUN_FOLDER
    try:
        return tuple(sorted((file.name, file.stat().st_size) for file in folder.iterdir()))
    except OSError:
        return ()
