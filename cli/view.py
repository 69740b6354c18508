"""``bigunet view``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import click
from bigunet_cli.common_options import axes_option, option
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.page_options import PAGE, page_options, show_page
from bigunet_cli.words import say

from bigunet.errors import OptionError
from bigunet.segmentation.segment_options import IMAGE

_PICTURE = "Picture"


@click.command(
    cls=SectionedCommand,
    short_help="Look at an image, its labels and their table in a browser.",
    examples="""
    bigunet view out.zarr
        Look at image, classes and objects in a browser.
    bigunet view out.zarr --snapshot out.png
        Draw a picture without a browser.
    """,
)
@click.argument("path", metavar="PATH")
@option(
    "--image",
    section=IMAGE,
    keyword="image",
    default="",
    metavar="PATH|URL",
    help="Image of an output, where it is not at the place that the output names.",
)
@option(
    "--labels",
    section=IMAGE,
    keyword="labels",
    multiple=True,
    metavar="PATH|URL",
    help="Label image to show over the image; may be given several times.",
)
@option(
    "--field",
    section=IMAGE,
    keyword="field",
    default="",
    metavar="A/1/0",
    help="Field of a plate.",
)
@axes_option
@page_options
@option(
    "--napari",
    section=PAGE,
    is_flag=True,
    help="Show it in a window of napari, where napari is installed, and not in a browser.",
)
@option(
    "--snapshot",
    section=_PICTURE,
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Write a picture in the place of a page; it needs no browser.",
)
@option(
    "--size",
    section=_PICTURE,
    type=int,
    metavar="N",
    help="Pixels of the longer side of the picture; at a --position along x or y, a pixel for "
    "each voxel.  [default: 1024]",
)
def view(
    path: str,
    *,
    position: str,
    port: int,
    no_browser: bool,
    napari: bool,
    snapshot: Path | None,
    size: int | None,
    **given: Any,
) -> None:
    """Show PATH in the browser: an image of any format, labels, an output of bigunet, or a plate.

    An output shows its image, too, and the values of its table; one that a run is writing shows
    each block when it is written. Ctrl-C ends it.
    """
    if snapshot is not None:
        _draw(path, snapshot, position, size, **given)
        return
    if size is not None:
        raise OptionError("--size is of a picture: give --snapshot FILE.png, too, or leave it out")
    if napari:
        _show_in_napari(path, position, **given)
        return
    with loading(dask=False):
        from bigunet.viewing.view import view as open_view

    with open_view(path, position=position, port=port, **given) as page:
        for note in page.notes:
            say(f"Warning: {note}")
        show_page(page.url, no_browser=no_browser)
        say("Ctrl-C ends it.")
        page.follow(threading.Event())


def _draw(path: str, picture: Path, position: str, size: int | None, **given: Any) -> None:
    with loading(dask=False):
        from bigunet.viewing.snapshot import DEFAULT_SIZE, snapshot

    notes = snapshot(path, picture, position=position, size=size or DEFAULT_SIZE, **given)
    for note in notes:
        say(f"Warning: {note}")
    say(f"picture: {picture}")


def _show_in_napari(path: str, position: str, **given: Any) -> None:
    if position:
        raise OptionError("--position is of a page or a picture: leave it out with --napari")
    with loading(dask=False):
        from bigunet.viewing.napari_reader import show_in_napari
        from bigunet.viewing.open_scene import SceneRequest, open_scene

    scene = open_scene(SceneRequest(path=path, **given))
    for note in scene.notes:
        say(f"Warning: {note}")
    show_in_napari(scene)
