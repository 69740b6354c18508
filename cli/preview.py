"""``bigunet preview``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from bigunet_cli.common_options import (
    cluster_of,
    cluster_options,
    existing_of,
    existing_options,
    quiet_option,
    segment_options,
)
from bigunet_cli.declared_options import described
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.page_options import page_options, show_page
from bigunet_cli.stopping import asked_to_end
from bigunet_cli.words import say

from bigunet.segmentation.segment_options import SegmentOptions

if TYPE_CHECKING:
    from bigunet.previewing.preview import Preview


@click.command(
    cls=SectionedCommand,
    short_help="Look at an image in a browser; labels are computed where you look.",
    examples="""
    bigunet preview slide.svs --channel red --position x=1200,y=800
        See what a model does at one place, before a run over the whole slide.
    bigunet preview image.zarr out.zarr --model model.safetensors
        Keep what was computed: segment with --resume goes on from it.
    """,
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@segment_options
@existing_options("an output")
@cluster_options
@page_options
@quiet_option
def preview(
    source: str,
    target: str | None,
    *,
    model: str,
    resume: bool,
    overwrite: bool,
    position: str,
    port: int,
    no_browser: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Show the image IN in the browser, with labels that are computed where you look.

    Zoom in: each block in view is computed and kept in OUT, exact as ever. 'bigunet segment IN OUT
    --resume' with the same options goes on from there. Without OUT, labels are kept until the end
    only. Classes and probabilities are shown; objects are numbered by the run. Ctrl-C ends it.
    """
    arguments: dict[str, Any] = {
        "model": model,
        "options": described(SegmentOptions, given),
        "client": cluster_of(given),
        "existing": existing_of("an output", resume=resume, overwrite=overwrite),
        "position": position,
        "port": port,
    }
    with loading():
        from bigunet_cli.preview_line import PreviewLine

        from bigunet.previewing.preview import preview as open_preview

    line = PreviewLine(shown=not quiet)
    with asked_to_end() as stop:
        opened = open_preview(source, target, **arguments, stop=stop, on_event=line)
        try:
            with opened:
                show_page(opened.url, no_browser=no_browser)
                say("Zoom in: labels are computed where you look. Ctrl-C ends it.")
                opened.wait(stop)
        finally:
            line.clear()
            _say_the_end(opened)


def _say_the_end(opened: Preview) -> None:
    """Say what is kept, and which command goes on."""
    say(opened.progress)
    if opened.command:
        say(f"go on with: {opened.command}")
