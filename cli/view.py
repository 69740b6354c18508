"""``bigunet view``."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Any

import click
from bigunet_cli.common_options import axes_option, option
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import say

from bigunet.segmentation.segment_options import IMAGE

if TYPE_CHECKING:
    from bigunet.viewing.view import View

_PAGE = "Page"


@click.command(
    cls=SectionedCommand, short_help="Look at an image, its labels and their table in a browser."
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
@option(
    "--port",
    section=_PAGE,
    keyword="port",
    type=int,
    default=0,
    metavar="N",
    help="Port on this machine.  [default: a free one]",
)
@option(
    "--no-browser",
    section=_PAGE,
    is_flag=True,
    help="Print the address of the page, and open no browser.",
)
def view(path: str, *, port: int, no_browser: bool, **given: Any) -> None:
    """Show PATH in the browser: an image of any format, labels, an output of bigunet, or a plate.

    An output shows its image, too, and the values of its table; one that a run is writing shows
    each block when it is written. Ctrl-C ends it.
    """
    with loading():
        from bigunet.viewing.view import view as open_view

    with open_view(path, port=port, **given) as page:
        for note in page.notes:
            say(f"Warning: {note}")
        click.echo(page.url)
        sys.stdout.flush()
        if not (no_browser or _opened(page)):
            say("Open this address in a browser on this machine.")
        say("Ctrl-C ends it.")
        page.follow(threading.Event())


def _opened(page: View) -> bool:
    """Whether a browser opened the page; a machine without a screen has none."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
        return False
    return webbrowser.open(page.url)
