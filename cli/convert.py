"""``bigunet convert``."""

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
    quiet_option,
)
from bigunet_cli.completing import PATH
from bigunet_cli.config import config_option
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.stopping import asked_to_end
from bigunet_cli.words import counted, print_json, say, shown

from bigunet.conversion.convert_options import ConvertOptions


@click.command(
    cls=SectionedCommand,
    short_help="Write an image of any format as OME-Zarr.",
    examples="""
    bigunet convert slide.ndpi slide.zarr
        Write a slide as OME-Zarr with a pyramid.
    bigunet convert 'scan.lif#2' scan.zarr --ome-version 0.4 --resume
        Convert the third image of a file, and go on where an earlier run stopped.
    bigunet convert out.zarr out.ozx
        Pack an OME-Zarr into one file, with its labels and tables.
    """,
)
@click.argument("source", type=PATH, metavar="IN")
@click.argument("target", type=PATH, metavar="OUT")
@declared_options(ConvertOptions)
@config_option()
@existing_options("an output")
@cluster_options
@quiet_option
@json_option
def convert(
    source: str,
    target: str,
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Write the image IN as the OME-Zarr OUT with a pyramid, block by block and without loss.

    IN is a TIFF, a slide, a picture, a CZI, ND2 or LIF file, or a zarr. IN#2 is the image with the
    index 2 of a file with several images. OUT is a folder, or a file OUT.ozx.
    """
    with loading():
        from bigunet.conversion.convert import convert as run_convert

    with BlockBar(shown=not quiet) as progress, asked_to_end() as stop:
        report = run_convert(
            source,
            target,
            options=described(ConvertOptions, given),
            client=cluster_of(given),
            existing=existing_of("an output", resume=resume, overwrite=overwrite),
            stop=stop,
            on_event=progress,
        )
    if as_json:
        print_json(report.to_dict())
    if quiet:
        return
    if report.already_finished:
        say(f"already finished: {shown(report.output)}")
        return
    if report.packed_files:
        size = f"{report.packed_bytes / 1e6:,.1f} MB"
        say(f"{counted(report.packed_files, 'file')}, {size}: {report.seconds:.1f} s")
        say(f"written to {shown(report.output)}")
        return
    sizes = " × ".join(map(str, report.levels[0]))
    say(
        f"{sizes} voxels ({', '.join(report.axes)}), {counted(len(report.channels), 'channel')}, "
        f"{counted(len(report.levels), 'level')}: {report.seconds:.1f} s, "
        f"{report.peak_memory_bytes / 1e6:.0f} MB of memory at the peak"
    )
    say(f"written to {shown(report.output)}")
