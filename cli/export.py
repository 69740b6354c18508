"""``bigunet export``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.common_options import json_option, overwrite_option
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import print_json, say, shown

from bigunet.exporting.export_options import ExportOptions


@click.command(
    cls=SectionedCommand,
    short_help="Write a model as a package of bioimage.io.",
    examples="""
    bigunet export nuclei nuclei.zip
        Write a bundled model as a package.
    bigunet export model.safetensors model.zip --image field.tif --licence CC-BY-4.0
        Write a model of yours, with an image of yours as test and cover.
    """,
)
@click.argument("model", metavar="MODEL")
@click.argument("target", metavar="OUT")
@declared_options(ExportOptions)
@overwrite_option("a package")
@json_option
def export(model: str, target: str, *, overwrite: bool, as_json: bool, **given: Any) -> None:
    """Write MODEL (name or file) as the package OUT, for programs that read bioimage.io.

    OUT is a zip if its name ends in .zip, else a folder. It has the weights as a state dict and as
    ONNX, test tensors, a cover and documentation.
    """
    options = described(ExportOptions, given)
    with loading(dask=False):
        from bigunet.exporting.export import export as run_export

    package = run_export(
        model, target, options=options, existing="overwrite" if overwrite else "refuse"
    )
    if as_json:
        print_json({"package": str(package)})
    else:
        say(f"written to {shown(str(package))}")
