"""The reader that napari finds: it opens an output of bigunet with its image."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bigunet.errors import BigUNetError, OptionError
from bigunet.segmentation.place import INSIDE_GROUP
from bigunet.segmentation.run.progress import read_progress
from bigunet.viewing.napari_layers import LayerData, napari_layers
from bigunet.viewing.open_scene import SceneRequest, open_scene
from bigunet.viewing.scene import Scene


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """The function that reads a path, or None if it is no output of bigunet.

    Parameters
    ----------
    path : str, or sequence of str
        A folder; an image with labels of bigunet inside counts as an output, too.
    """
    if not isinstance(path, str) or "://" in path or not Path(path).is_dir():
        return None
    try:
        places = (Path(path), Path(path, INSIDE_GROUP))
        return _read if any(map(read_progress, places)) else None
    except BigUNetError:
        return None


def _read(path: str) -> list[LayerData]:
    return napari_layers(open_scene(SceneRequest(path=path)))


def show_in_napari(scene: Scene) -> None:
    """Open a scene in a window of napari, and wait until the window is closed.

    Raises
    ------
    OptionError
        If napari, or what it needs for a window, is not installed, or there is no screen.
    """
    try:
        import napari

        _check_screen()
        viewer: Any = napari.Viewer(title="bigunet: " + scene.title)
        add_layers(viewer, scene)
        # Only now napari looks for Qt.
        napari.run()
    except ImportError as error:
        raise OptionError("--napari needs napari: pip install 'napari[all]'") from error


def _check_screen() -> None:
    """Raise OptionError where no window can open: Qt would end the process without a word."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
        raise OptionError("--napari needs a screen, and there is none: give --snapshot FILE.png")


def add_layers(viewer: Any, scene: Scene) -> None:
    """Add the layers of a scene to a viewer, or to a model of one."""
    from napari.layers import Layer

    for data, keywords, kind in napari_layers(scene):
        viewer.add_layer(Layer.create(data, keywords, kind))
