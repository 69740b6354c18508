"""``bigunet demo``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.block_bar import BlockBar
from bigunet_cli.common_options import cluster_of, cluster_options, json_option
from bigunet_cli.completing import PATH
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import print_json, say, summary


@click.command(
    cls=SectionedCommand,
    short_help="Segment a mosaic of real nuclei, and draw a picture of it.",
    examples="""
    bigunet demo
        Segment a mosaic of nuclei into the folder demo.
    bigunet demo first-try --cluster threads
        The same in another folder, without processes.
    """,
)
@click.argument("folder", type=PATH, default="demo")
@cluster_options
@json_option
def demo(folder: str, *, as_json: bool, **given: Any) -> None:
    """Segment a mosaic of real nuclei into FOLDER, and draw a picture of it."""
    workers = cluster_of(given)
    with loading():
        from bigunet.demo import demo as run_demo

    with BlockBar(shown=True) as progress:
        result = run_demo(folder, client=workers, on_event=progress)
    if as_json:
        print_json({**result.report.to_dict(), "picture": str(result.picture)})
    say(summary(result.report))
    say(f"picture: {result.picture}")
