"""``bigunet verify``."""

from __future__ import annotations

import sys

import click
from bigunet_cli.common_options import json_option, option, trust_option
from bigunet_cli.completing import MODEL_NAME, PATH
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import counted, print_json, say

from bigunet.segmentation.model_options import NETWORK
from bigunet.segmentation.segment_options import IMAGE

_WINDOWS = "Windows"


@click.command(
    cls=SectionedCommand,
    short_help="Recompute parts of an output, and compare them.",
    examples="""
    bigunet verify image.zarr out.zarr
        Recompute 8 windows across seams.
    bigunet verify image.zarr --windows 32 --seed 1
        Check the labels inside an image, in 32 other windows.
    """,
)
@click.argument("source", type=PATH, metavar="IN")
@click.argument("target", type=PATH, metavar="[OUT]", required=False)
@option(
    "--mask",
    section=IMAGE,
    keyword="mask",
    type=PATH,
    default="",
    metavar="URL",
    help="Mask of OUT with its password, where it needs one: OUT does not keep it.",
)
@option(
    "--model",
    section=NETWORK,
    keyword="model",
    type=MODEL_NAME,
    metavar="NAME|PATH",
    help="Model to recompute with.  [default: the model that OUT names]",
)
@option(
    "--windows",
    section=_WINDOWS,
    keyword="windows",
    default=8,
    show_default=True,
    metavar="N",
    help="Number of windows to recompute.",
)
@option(
    "--seed",
    section=_WINDOWS,
    keyword="seed",
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of the choice of windows.",
)
@trust_option
@json_option
def verify(
    source: str,
    target: str | None,
    *,
    windows: int,
    seed: int,
    model: str | None,
    mask: str,
    trust: bool,
    as_json: bool,
) -> None:
    """Recompute windows of OUT across seams on a shifted grid; exit 1 if labels are wrong.

    Without OUT, the labels inside the image IN are checked.
    """
    with loading():
        from bigunet.segmentation.verify import verify as run_verify

    report = run_verify(
        source, target, model=model, windows=windows, seed=seed, mask=mask, trust=trust
    )
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(
            f"{counted(report.windows, 'window')} ({report.seams} across seams, {report.voxels} "
            f"voxels, {report.precision}): largest difference {report.max_difference:.1e} standard "
            f"deviations, {report.labels_differ} labels differ, {report.labels_wrong} beyond "
            "rounding"
            + (f", {report.ids_wrong} voxels with a wrong object" if report.ids_wrong else "")
            + ("" if report.exact else "; compared with the blended whole, which is not exact")
        )
    if not report.passed:
        whole = "one pass" if report.exact else "the blend of tiles"
        say(f"Error: the output is not what {whole} over the image gives; segment it anew")
        sys.exit(1)
