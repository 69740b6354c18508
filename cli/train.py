"""``bigunet train``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from bigunet_cli.loading import loading
from bigunet_cli.options import json_option
from bigunet_cli.train_options import card_of, options_of, recipe_of, train_options
from bigunet_cli.words import print_json, say

from bigunet.errors import OptionError

if TYPE_CHECKING:
    from bigunet.choices import Existing
    from bigunet.training.run.train_report import TrainReport


@click.command()
@click.argument("images")
@click.argument("labels", required=False, default="")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The model, .safetensors."
)
@click.option(
    "--validate",
    nargs=2,
    default=None,
    metavar="IMAGES LABELS",
    help="Validate on these instead of a share of the others.",
)
@train_options
@click.option("--resume", is_flag=True, help="Continue a run from its last checkpoint.")
@click.option("--overwrite", is_flag=True, help="Begin a run anew.")
@click.option("--quiet", is_flag=True, help="No progress bar and no summary.")
@json_option
def train(
    images: str,
    labels: str,
    *,
    out: Path,
    validate: tuple[str, str] | None,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a network on IMAGES and LABELS: OME-Zarr, TIFF or PNG, single or in folders.

    IMAGES may also be a CSV table with the columns image and labels; LABELS is then left out.
    Network, loss and elastic deformation are by default those of the U-Net paper.
    """
    with loading():
        from bigunet_cli.train_checks import check_effects
        from bigunet_cli.train_progress import TrainingBar

        from bigunet.training.train import train as run_train

    if resume and overwrite:
        raise OptionError("--resume continues a run, --overwrite discards it: give one of them")
    check_effects(click.get_current_context(), {**given, "validate": validate})
    existing: Existing = "resume" if resume else "overwrite" if overwrite else "refuse"
    with TrainingBar(shown=not quiet) as bar:
        report = run_train(
            images,
            labels,
            out=out,
            options=options_of(given),
            recipe=recipe_of(given),
            validation=validate,
            card=card_of(given["card"]),
            weight_cache=given["weight_cache"],
            existing=existing,
            on_event=bar,
        )
    if as_json:
        print_json(report.to_dict())
    if not quiet:
        say(_summary(report))


def _summary(report: TrainReport) -> str:
    ended = "stopped early after" if report.stopped_early else "trained"
    scored = "" if math.isnan(report.score) else f", {report.score_name} {report.score:.3f}"
    return (
        f"{ended} {report.steps} steps in {report.seconds / 60:.1f} minutes, "
        f"{report.patches_per_second:.2f} patches per second, {report.waited:.0%} of the time "
        f"waiting for patches\n"
        f"{_never_rose(report)}kept the weights of step {report.best_step}{scored}: {report.path}\n"
        f"training record: {report.record}"
    )


def _never_rose(report: TrainReport) -> str:
    # Of equal scores the last one's weights are kept.
    if report.score != 0 or report.best_step != report.steps:
        return ""
    return "the validation score never rose above 0; the weights of the last step are kept\n"
