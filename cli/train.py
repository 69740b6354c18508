"""``bigunet train``."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from bigunet_cli.common_options import (
    existing_of,
    existing_options,
    json_option,
    option,
    quiet_option,
)
from bigunet_cli.completing import PATH
from bigunet_cli.config import config_option
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.model_card import CardFile, card_in
from bigunet_cli.words import print_json, say
from click.core import ParameterSource

from bigunet.options.choices import PresetName
from bigunet.options.option_fields import option_fields, option_words
from bigunet.training.recipe import LOSS, VALIDATION, Recipe
from bigunet.training.train_options import MODEL, NETWORK, TrainOptions

if TYPE_CHECKING:
    from bigunet.training.run.train_report import TrainReport


@click.command(
    cls=SectionedCommand,
    short_help="Train a network on images and labels.",
    examples="""
    bigunet train images/ labels/ --out cells.safetensors --preset laptop
        Train on files of the same names in two folders, for a quarter of an hour.
    bigunet train images/ labels/ --out mine.safetensors --from nuclei
        Go on from the weights of a bundled model.
    """,
)
@click.argument("images", type=PATH)
@click.argument("labels", type=PATH, required=False, default="")
@option(
    "--out",
    section=MODEL,
    keyword="out",
    required=True,
    type=click.Path(path_type=Path),
    help="Model file to write, .safetensors.",
)
@option(
    "--preset",
    section=NETWORK,
    keyword="preset",
    type=click.Choice(get_args(PresetName)),
    default=None,
    help="Set network and recipe at once: for minutes on a laptop, for a GPU, or as in the paper. "
    "Options that are given win.",
)
@declared_options(TrainOptions)
@option(
    "--card",
    section=MODEL,
    keyword="card",
    type=CardFile(),
    default=None,
    help="JSON file with the model's card: data, licence, intended_use, limits.",
)
@declared_options(Recipe)
@option(
    "--weight-cache",
    section=LOSS,
    keyword="weight_cache",
    type=PATH,
    metavar="FOLDER",
    default="",
    help="Folder that keeps the border term of the weight map for whole images, so that it is "
    "computed once.  [default: computed for each patch]",
)
@option(
    "--validate",
    section=VALIDATION,
    keyword="validation",
    type=PATH,
    nargs=2,
    default=None,
    metavar="IMAGES LABELS",
    help="Images and labels to validate on, in place of a share of the others.",
)
@config_option()
@existing_options("a run")
@quiet_option
@json_option
def train(
    images: str,
    labels: str,
    *,
    out: Path,
    preset: PresetName | None,
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
    context = click.get_current_context()
    fields = _given_fields(context, described(TrainOptions, given), described(Recipe, given))
    card_content = card_in(card)
    with loading():
        from bigunet_cli.effects import check_effects
        from bigunet_cli.training_bar import TrainingBar

        from bigunet.training.train import of_preset
        from bigunet.training.train import train as run_train

    share = fields.pop("validation", None)
    taken = {} if preset is None else of_preset(preset, fields)
    check_effects(context, {**given, **taken, "validate": validate})
    if preset is not None and not quiet:
        say(f"preset {preset}: {shlex.join(_words(taken))}")
    with TrainingBar(shown=not quiet) as bar:
        report = run_train(
            images,
            labels,
            out=out,
            validation=validate or share,
            card=card_content,
            weight_cache=weight_cache,
            existing=existing,
            preset=preset,
            on_event=bar,
            **fields,
        )
    if as_json:
        print_json(report.to_dict())
    if not quiet:
        say(_summary(report))


def _given_fields(context: click.Context, *described: Any) -> dict[str, Any]:
    """The fields that the user gave, whether or not they have other values than the defaults."""
    return {
        one.name: getattr(options, one.name)
        for options in described
        for one in option_fields(type(options))
        if context.get_parameter_source(one.name) is not ParameterSource.DEFAULT
    }


def _words(taken: Mapping[str, Any]) -> list[str]:
    """The options that a preset stands for, as words of the command line."""
    parts = (
        kind(**{one.name: taken[one.name] for one in option_fields(kind) if one.name in taken})
        for kind in (TrainOptions, Recipe)
    )
    return [word for part in parts for word in option_words(part)]


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
