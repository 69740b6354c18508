"""``bigunet demo``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.loading import loading
from bigunet_cli.options import cluster_from, cluster_options, json_option
from bigunet_cli.progress import ProgressBar
from bigunet_cli.words import print_json, say, summary


@click.command()
@click.argument("folder", default="demo")
@cluster_options
@json_option
def demo(folder: str, *, as_json: bool, **given: Any) -> None:
    """Segment a mosaic of real nuclei into FOLDER, and draw a picture of it."""
    with loading():
        from bigunet.demo import demo as run_demo

    with ProgressBar(shown=True) as progress:
        result = run_demo(folder, client=cluster_from(given), on_event=progress)
    if as_json:
        print_json({**result.report.to_dict(), "picture": str(result.picture)})
    say(summary(result.report))
    say(f"picture: {result.picture}")
