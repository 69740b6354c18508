"""``bigunet train``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from bigunet_cli.common_options import (
    existing_of,
    existing_options,
    json_option,
    option,
    quiet_option,
)
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.model_card import card_in
from bigunet_cli.words import print_json, say

from bigunet.training.recipe import LOSS, VALIDATION, Recipe
from bigunet.training.train_options import MODEL, TrainOptions

if TYPE_CHECKING:
    from bigunet.training.run.train_report import TrainReport


@click.command(
    cls=SectionedCommand,
    short_help="Train a network on images and labels.",
    examples="""
    bigunet train images/ labels/ --out cells.safetensors --minutes 60
        Train on files of the same names in two folders, for an hour.
    bigunet train images/ labels/ --out mine.safetensors --from nuclei
        Go on from the weights of a bundled model.
    """,
)
@click.argument("images")
@click.argument("labels", required=False, default="")
@option(
    "--out",
    section=MODEL,
    keyword="out",
    required=True,
    type=click.Path(path_type=Path),
    help="Model file to write, .safetensors.",
)
@declared_options(TrainOptions)
@option(
    "--card",
    section=MODEL,
    keyword="card",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="JSON file with the model's card: data, licence, intended_use, limits.",
)
@declared_options(Recipe)
@option(
    "--weight-cache",
    section=LOSS,
    keyword="weight_cache",
    metavar="FOLDER",
    default="",
    help="Folder that keeps the border term of the weight map for whole images, so that it is "
    "computed once.  [default: computed for each patch]",
)
@option(
    "--validate",
    section=VALIDATION,
    keyword="validation",
    nargs=2,
    default=None,
    metavar="IMAGES LABELS",
    help="Images and labels to validate on, in place of a share of the others.",
)
@existing_options("a run")
@quiet_option
@json_option
def train(
    images: str,
    labels: str,
    *,
    out: Path,
    card: Path | None,
    weight_cache: str,
    validate: tuple[str, str] | None,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a network on IMAGES and LABELS: OME-Zarr, TIFF or PNG, single or in folders.

    IMAGES may also be a CSV table with the columns image and labels; LABELS is then left out.
    By default, network, loss and elastic deformation are those of the U-Net paper.
    """
    existing = existing_of("a run", resume=resume, overwrite=overwrite)
    options, recipe = described(TrainOptions, given), described(Recipe, given)
    card_content = card_in(card)
    with loading():
        from bigunet_cli.effects import check_effects
        from bigunet_cli.training_bar import TrainingBar

        from bigunet.training.train import train as run_train

    check_effects(click.get_current_context(), {**given, "validate": validate})
    with TrainingBar(shown=not quiet) as bar:
        report = run_train(
            images,
            labels,
            out=out,
            options=options,
            recipe=recipe,
            validation=validate,
            card=card_content,
            weight_cache=weight_cache,
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
