"""``bigunet evaluate``."""

from __future__ import annotations

import math
from typing import Any, get_args

import click
from bigunet_cli.loading import loading
from bigunet_cli.options import ShapeType, json_option
from bigunet_cli.words import print_json, print_table, say

from bigunet.choices import EvaluationKind, MetricName
from bigunet.evaluation.evaluate_options import EvaluateOptions


@click.command()
@click.argument("prediction")
@click.argument("truth")
@click.option(
    "--kind",
    type=click.Choice(get_args(EvaluationKind)),
    default="classes",
    show_default=True,
    help="What the truth labels; boundaries: segments, and 0 between them.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(get_args(MetricName)),
    help="What to compute; may be repeated. By default all that the kind has.",
)
@click.option("--level", default=0, show_default=True, metavar="K", help="Level of the truth.")
@click.option("--channel", metavar="C", help="Of the prediction, by index or name.")
@click.option(
    "--threshold",
    type=float,
    metavar="P",
    help="Probabilities above this one, 0 to 1, are foreground or interior.",
)
@click.option(
    "--label-values", type=ShapeType(), default=(), help="Of the truth's classes, in their order."
)
@click.option(
    "--ignore",
    type=int,
    multiple=True,
    metavar="VALUE",
    help="Label of voxels in the truth that nobody annotated: scores leave them out. May be "
    "repeated.",
)
@click.option(
    "--objects-of",
    metavar="CLASS",
    help="The prediction is classes: connected voxels of this one, by name or number, are objects.",
)
@click.option(
    "--border",
    metavar="CLASS",
    help="Of the prediction: give its voxels to the objects of --objects-of that they touch.",
)
@click.option("--min-size", default=0, metavar="N", help="Leave out found objects of fewer voxels.")
@click.option(
    "--connected", is_flag=True, help="The truth is masks: connected voxels are an object."
)
@click.option("--interior", metavar="CLASS", help="That is interior, by name or number; all but 0.")
@click.option(
    "--border-width",
    default=0,
    metavar="N",
    help="Voxels of the truth so near to a different segment are boundary too; of --border, "
    "what is given to an object, 1 by default.",
)
@click.option("--volumes", is_flag=True, help="Segments are connected along z; else by plane.")
@json_option
def evaluate(prediction: str, truth: str, *, as_json: bool, **given: Any) -> None:
    """Score PREDICTION against TRUTH: OME-Zarr, TIFF or PNG, single or in folders.

    Files of two folders belong together by name. One image is in memory at a time, whole.
    """
    with loading():
        from bigunet.evaluation.evaluate import evaluate as run_evaluate

    for name in ("objects_of", "border", "interior"):
        given[name] = _class(given[name])
    result = run_evaluate(prediction, truth, options=EvaluateOptions(**given))
    for warning in result.warnings:
        say(f"Warning: {warning}")
    if as_json:
        print_json(result.to_dict())
    else:
        rows = {name.replace("_", " "): _word(value) for name, value in result.scores.items()}
        print_table({"images": len(result.images), **rows})


def _class(given: str | None) -> str | int | None:
    return int(given) if given and given.isascii() and given.isdigit() else given


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_word(one)}" for name, one in value.items())
    if isinstance(value, float):
        return "nothing to score" if math.isnan(value) else f"{value:.4f}"
    return str(value)
