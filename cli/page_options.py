"""What commands share that serve a page on this machine: its place, its port, and the browser."""

from __future__ import annotations

import atexit
import html
import os
import shutil
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from bigunet_cli.common_options import option
from bigunet_cli.words import say

PAGE = "Page"
_LEADS_TO = """<!DOCTYPE html><meta charset="utf-8"><title>bigunet</title>
<meta http-equiv="refresh" content="0; url={url}"><a href="{url}">bigunet</a>
"""

F = TypeVar("F", bound=Callable[..., Any])


def page_options(command: F) -> F:
    """Add ``--position``, ``--port`` and ``--no-browser``."""
    command = option(
        "--no-browser",
        section=PAGE,
        is_flag=True,
        help="Print the address of the page, and open no browser.",
    )(command)
    command = option(
        "--port",
        section=PAGE,
        keyword="port",
        type=int,
        default=0,
        metavar="N",
        help="Port on this machine.  [default: a free one]",
    )(command)
    return option(
        "--position",
        section=PAGE,
        keyword="position",
        default="",
        metavar="x=N,y=N…",
        help="Voxel in the middle of the page, such as x=1200,y=800,z=10.  "
        "[default: that of the image]",
    )(command)


def show_page(url: str, *, no_browser: bool) -> None:
    """Print the address of a page on stdout, and open it in the browser of this machine.

    Other users of the machine see the arguments of a browser. It is therefore given a file that
    only this user reads, and that leads to the address with its token.
    """
    click.echo(url)
    sys.stdout.flush()
    if not (no_browser or _opened(url)):
        say("Open this address in a browser on this machine.")


def _opened(url: str) -> bool:
    """Whether a browser opened the page; a machine without a screen has none."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
        return False
    # A folder for this user alone.
    folder = Path(tempfile.mkdtemp(prefix="bigunet-page-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    page = folder / "open.html"
    page.write_text(_LEADS_TO.format(url=html.escape(url)), encoding="utf-8")
    return webbrowser.open(page.as_uri())
