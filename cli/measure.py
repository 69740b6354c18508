"""``bigunet measure``."""

from __future__ import annotations

import click
from bigunet_cli.common_options import json_option, option
from bigunet_cli.completing import PATH
from bigunet_cli.declared_options import click_type
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import counted, print_json, shown, size_figure

from bigunet.options.lengths import Micrometres

INPUT, TABLE = "Images and labels", "Output"


@click.command(
    cls=SectionedCommand,
    short_help="Make the table of the objects of labels.",
    examples="""
    bigunet measure image.zarr cells --table cells.parquet
        Measure the labels cells inside the image.
    bigunet measure image.tif labels.tif --table cells.csv --voxel-size 0.5
        Measure labels of any program, with voxels of 0.5 µm.
    """,
)
@click.argument("image", type=PATH)
@click.argument("labels", type=PATH)
@option(
    "--table",
    section=TABLE,
    type=PATH,
    metavar="FILE",
    help="File of the table, .csv or .parquet.  [default: tables/NAME in the OME-Zarr of "
    "labels/NAME]",
)
@option(
    "--class-name",
    section=TABLE,
    keyword="class_name",
    metavar="NAME",
    help="Class of the objects, for a column of it.",
)
@option(
    "--level",
    section=INPUT,
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="K",
    help="Level of the labels. The level of the image that has the same shape is measured.",
)
@option(
    "--voxel-size",
    section=INPUT,
    keyword="voxel_size_um",
    type=click_type(Micrometres()),
    multiple=True,
    metavar="UM",
    help="Size of a voxel in micrometres, or with a unit such as 500nm: once, or once per axis in "
    "the order z, y, x.  [default: what the image says]",
)
@json_option
def measure(
    image: str,
    labels: str,
    *,
    table: str | None,
    class_name: str | None,
    level: int,
    voxel_size: tuple[float, ...],
    as_json: bool,
) -> None:
    """Make the table of the objects of LABELS, with the grey values of IMAGE.

    LABELS is a label image with a number for each object, made by any program, or the name of one
    in labels/ of IMAGE. One block of them is in memory at a time.
    """
    with loading(dask=False):
        from dataclasses import asdict

        from bigunet.measuring.measure_files import measure_files

    size = voxel_size[0] if len(voxel_size) == 1 else voxel_size or None
    done = measure_files(
        image, labels, table=table, level=level, voxel_size_um=size, class_name=class_name
    )
    if as_json:
        print_json(asdict(done) | {"median_size": done.median_size if done.num_objects else None})
        return
    median = ""
    if done.num_objects:
        median = f", median {_size_word(done.unit)} {size_figure(done.median_size)} {done.unit}"
    objects = counted(done.num_objects, "object").replace(
        str(done.num_objects), f"{done.num_objects:,}"
    )
    click.echo(f"{objects}{median}; table: {shown(done.table)}")


def _size_word(unit: str) -> str:
    return {"µm²": "area", "µm³": "volume"}.get(unit, "size")
