"""``bigunet quantise``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.common_options import json_option, option
from bigunet_cli.completing import MODEL_NAME, PATH
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import print_json, print_table, say, shown

from bigunet.quantising.quantise_options import IMAGES, QuantiseOptions


@click.command(
    cls=SectionedCommand,
    short_help="Make a model compute in integers of 8 bits.",
    examples="""
    bigunet quantise model.safetensors images/
        Write model.int8.safetensors, and say how many labels stay.
    bigunet quantise model.safetensors images/ labels/ --output fast.safetensors
        Compare scores as well, so that segment takes int8 by itself where it is good.
    """,
)
@click.argument("model", type=MODEL_NAME, metavar="MODEL")
@click.argument("images", type=PATH)
@click.argument("labels", type=PATH, required=False)
@option(
    "--output",
    section=IMAGES,
    default="",
    metavar="PATH",
    help="Model file to write.  [default: NAME.int8.safetensors in this folder]",
)
@declared_options(QuantiseOptions)
@json_option
def quantise(
    model: str, images: str, labels: str | None, *, output: str, as_json: bool, **given: Any
) -> None:
    """Write MODEL (a U-Net of bigunet) again with numbers of 8 bits, calibrated with IMAGES.

    IMAGES is an image or a folder. Without LABELS, --precision int8 works with the file, but
    --precision auto does not take it.
    """
    options = described(QuantiseOptions, given)
    with loading():
        from bigunet.quantising.quantise import quantise as run_quantise

    report = run_quantise(model, images, labels, output=output, options=options)
    if as_json:
        print_json({"output": report.output, **report.to_dict()})
        return
    rows = {"labels as in fp32": f"{report.equal_labels:.3%}"}
    if report.score_name:
        rows[report.score_name] = f"{report.int8:.4f} in int8, {report.fp32:.4f} in fp32"
    rows["--precision auto"] = "takes int8" if report.allowed else "does not take int8"
    print_table(rows)
    say(f"written to {shown(report.output)}")
