"""``bigunet segment``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.block_bar import BlockBar
from bigunet_cli.common_options import (
    cluster_of,
    cluster_options,
    existing_of,
    existing_options,
    json_option,
    option,
    quiet_option,
    segment_options,
)
from bigunet_cli.completing import PATH
from bigunet_cli.config import comes_from_file, config_option
from bigunet_cli.declared_options import Parsed, described
from bigunet_cli.help_sections import MESSAGES, PLATE, SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.stopping import asked_to_end
from bigunet_cli.words import print_json, say, summary

from bigunet.engine.clusters.spec import WORKERS
from bigunet.errors import OptionError
from bigunet.segmentation.object_options import OBJECTS
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.segment_options import OUTPUT, SegmentOptions


def _names(text: str) -> tuple[str, ...]:
    """Names that are separated by commas."""
    return tuple(name.strip() for name in text.split(","))


@click.command(
    cls=SectionedCommand,
    short_help="Segment an image, several images, or a plate.",
    examples="""
    bigunet segment slide.svs out.zarr --channel red
        Segment one channel of a slide.
    bigunet segment a.zarr 'run*/*.tif' --into results --resume
        Segment several images, and go on where an earlier run stopped.
    """,
)
@click.argument("sources", type=PATH, metavar="IN [OUT]", nargs=-1, required=True)
@option(
    "--into",
    section=OUTPUT,
    keyword="segment_images(…)",
    type=click.Path(),
    metavar="FOLDER",
    help="Write an output FOLDER/NAME.zarr for every image of IN: images, folders of images, or "
    "quoted patterns.",
)
@option(
    "--wells",
    section=PLATE,
    keyword="segment_fields(wells=…)",
    type=Parsed(_names, "NAMES"),
    default=(),
    help="Wells of a plate: names or patterns, such as A01,B*; A1 and A01 are the same.  "
    "[default: all]",
)
@option(
    "--fields",
    section=PLATE,
    keyword="segment_fields(fields=…)",
    type=Parsed(_names, "NAMES"),
    default=(),
    help="Fields of each well of a plate: names or patterns, such as 0,3.  [default: all]",
)
@segment_options
@config_option()
@existing_options("an output")
@cluster_options
@option(
    "--part",
    section=WORKERS,
    keyword="part",
    type=Parsed(Part.parse, "I/N"),
    metavar="I/N",
    help="Do part I of N, such as 2/8: N processes share the work without a scheduler. Each goes "
    "on where it was stopped; the last to end finishes the output.",
)
@option(
    "--performance-report",
    "performance_path",
    section=MESSAGES,
    keyword="performance_path",
    type=click.Path(dir_okay=False),
    metavar="FILE.html",
    help="Write a page for the browser that shows what each worker did when, as Dask reports it.",
)
@option(
    "--table",
    section=OBJECTS,
    keyword="table",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the table of the objects to this file, too: .csv or .parquet. Of a plate, or of "
    "images with --into, it is one table of all.",
)
@quiet_option
@json_option
def segment(
    sources: tuple[str, ...],
    *,
    into: str | None,
    wells: tuple[str, ...],
    fields: tuple[str, ...],
    model: str,
    part: Part | None,
    resume: bool,
    overwrite: bool,
    performance_path: str | None,
    table: str | None,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Segment the image IN into the OME-Zarr OUT, block by block, without seams.

    IN is an OME-Zarr, a TIFF, a slide, a picture, or a CZI, ND2 or LIF file; IN#2 is the image with
    the index 2 of a file with several. Without OUT the labels go into the OME-Zarr itself; a plate
    IN gets them in every field, or in those of --wells and --fields, and one table of all objects.
    With --into there may be several IN and no OUT. Fields and images share one set of workers, and
    several are at work at a time.
    """
    arguments: dict[str, Any] = {
        "model": model,
        "options": described(SegmentOptions, given),
        "client": cluster_of(given),
        "existing": existing_of("an output", resume=resume, overwrite=overwrite),
        "performance_path": performance_path,
    }
    with loading():
        from bigunet_cli.several_images import one_image, segment_many, segment_plate

        from bigunet.io.images.plates import is_plate
        from bigunet.segmentation.segment import segment as run_segment

    if into is not None:
        if comes_from_file(click.get_current_context(), "sources"):
            raise OptionError("--into is for images of the command line; give them there, too")
        _check_no_plate(wells, fields, "--into is for images")
        if part is not None:
            raise OptionError("images with --into have no parts: give some of them to each process")
        segment_many(sources, into, arguments, table=table, quiet=quiet, as_json=as_json)
        return
    source, target = one_image(sources)
    if target is None and is_plate(source):
        if part is not None:
            raise OptionError("a plate has no parts: give one field to each process")
        arguments |= {"wells": wells, "fields": fields, "table": table}
        segment_plate(source, arguments, quiet=quiet, as_json=as_json)
        return
    _check_no_plate(wells, fields, f"{source} is no plate, or OUT is given")
    arguments |= {"table": table, "part": part}
    with BlockBar(shown=not quiet) as progress, asked_to_end() as stop:
        report = run_segment(source, target, **arguments, stop=stop, on_event=progress)
    if as_json:
        print_json(report.to_dict())
    if not quiet:
        say(summary(report))
        if table is not None and report.table:
            say(f"table: {table}")


def _check_no_plate(wells: tuple[str, ...], fields: tuple[str, ...], why: str) -> None:
    """Raise OptionError if parts of a plate are asked for where there is no plate."""
    for flag, names in (("--wells", wells), ("--fields", fields)):
        if names:
            raise OptionError(f"{flag} is for a plate without OUT, but {why}")
