"""``bigunet segment``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from bigunet_cli.loading import loading
from bigunet_cli.options import (
    PartType,
    cluster_from,
    cluster_options,
    json_option,
    options_from,
    segment_options,
)
from bigunet_cli.progress import ProgressBar
from bigunet_cli.stopping import asked_to_end
from bigunet_cli.words import print_json, say, summary

from bigunet.errors import BigUNetError, OptionError
from bigunet.segmentation.run.part import Part

if TYPE_CHECKING:
    from bigunet.choices import Existing


@click.command()
@click.argument("sources", metavar="IN [OUT]", nargs=-1, required=True)
@click.option(
    "--into",
    type=click.Path(),
    metavar="FOLDER",
    help="Write an output FOLDER/NAME.zarr for every image of IN: images, folders of images, or "
    "quoted patterns.",
)
@segment_options
@cluster_options
@click.option(
    "--part",
    type=PartType(),
    help="Of N processes that share the work without a scheduler, be the I-th: --part 2/8. Each "
    "goes on where it was stopped; the last to end finishes the output.",
)
@click.option("--resume", is_flag=True, help="Continue an output that was begun.")
@click.option("--overwrite", is_flag=True, help="Begin an output of bigunet anew.")
@click.option(
    "--performance-report",
    "performance_path",
    type=click.Path(dir_okay=False),
    metavar="FILE.html",
    help="Write what each worker did when, as Dask tells it, into a page for the browser.",
)
@click.option("--quiet", is_flag=True, help="No progress bar and no summary.")
@json_option
def segment(
    sources: tuple[str, ...],
    *,
    into: str | None,
    part: Part | None,
    resume: bool,
    overwrite: bool,
    performance_path: str | None,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Segment the OME-Zarr image IN into the OME-Zarr OUT, block by block, without seams.

    Without OUT the labels go into the image itself; a plate IN gets them in every field. With
    --into there may be several IN and no OUT; all of them share one set of workers.
    """
    with loading():
        from bigunet_cli.many import one_image, segment_many

        from bigunet.io.images.plates import is_plate
        from bigunet.segmentation.segment import segment as run_segment

    if resume and overwrite:
        raise OptionError("--resume continues an output, --overwrite discards it: give one of them")
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    arguments: dict[str, Any] = {
        "model": given["model"],
        "options": options_from(given),
        "client": cluster_from(given),
        "existing": existing,
        "performance_path": performance_path,
    }
    if into is not None:
        if part is not None:
            raise OptionError("images with --into have no parts: give some of them to each process")
        segment_many(sources, into, arguments, quiet=quiet, as_json=as_json)
        return
    source, target = one_image(sources)
    if target is None and is_plate(source):
        if part is not None:
            raise OptionError("a plate has no parts: give one field to each process")
        _segment_plate(source, arguments, quiet=quiet, as_json=as_json)
        return
    with ProgressBar(shown=not quiet) as progress, asked_to_end() as stop:
        report = run_segment(source, target, **arguments, part=part, stop=stop, on_event=progress)
    if as_json:
        print_json(report.to_dict())
    if not quiet:
        say(summary(report))


def _segment_plate(source: str, arguments: dict[str, Any], *, quiet: bool, as_json: bool) -> None:
    """Every field, one after the other; exit 1 if one of them failed."""
    from bigunet.segmentation.plate_fields import local_plate, segment_fields

    plate = local_plate(source)
    for note in plate.notes:
        say(f"Warning: {note}")
    told: dict[str, Any] = {}
    failed = 0
    with ProgressBar(shown=not quiet) as progress, asked_to_end() as stop:
        for field, outcome in segment_fields(plate, **arguments, stop=stop, on_event=progress):
            if isinstance(outcome, BigUNetError):
                failed += 1
                told[field] = {"error": " ".join(str(outcome).split())}
                say(f"Error: field {field}: {told[field]['error']}")
                continue
            told[field] = outcome.to_dict()
            if not quiet:
                say(f"field {field}: {summary(outcome)}")
    if as_json:
        print_json({"fields": told, "missing": list(plate.missing)})
    if failed:
        say(f"Error: {failed} of {len(told)} fields failed; the others are done")
        sys.exit(1)
