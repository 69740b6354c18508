"""``bigunet segment``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.options import (
    cluster_from,
    cluster_options,
    json_option,
    options_from,
    segment_options,
)
from bigunet_cli.progress import ProgressBar
from bigunet_cli.words import print_json, say, summary

from bigunet.errors import OptionError
from bigunet.workflows.segment import segment as run_segment
from bigunet.workflows.target import Existing


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@segment_options
@cluster_options
@click.option("--resume", is_flag=True, help="Continue an output that was begun.")
@click.option("--overwrite", is_flag=True, help="Begin an output of bigunet anew.")
@click.option("--quiet", is_flag=True, help="No progress bar and no summary.")
@json_option
def segment(
    source: str,
    target: str,
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Segment the OME-Zarr image IN into the OME-Zarr OUT, block by block, without seams."""
    if resume and overwrite:
        raise OptionError("--resume continues an output, --overwrite discards it: give one of them")
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    with ProgressBar(shown=not quiet) as progress:
        report = run_segment(
            source,
            target,
            model=given["model"],
            options=options_from(given),
            client=cluster_from(given),
            existing=existing,
            on_event=progress,
        )
    if as_json:
        print_json(report.to_dict())
    if not quiet:
        say(summary(report))
