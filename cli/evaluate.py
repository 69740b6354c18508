"""``bigunet evaluate``."""

from __future__ import annotations

import math
from typing import Any

import click
from bigunet_cli.common_options import json_option
from bigunet_cli.completing import PATH
from bigunet_cli.config import config_option
from bigunet_cli.declared_options import declared_options, described
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import print_json, print_table, say

from bigunet.evaluation.evaluate_options import EvaluateOptions


@click.command(
    cls=SectionedCommand,
    short_help="Score a prediction against the truth.",
    examples="""
    bigunet evaluate out.zarr truth.tif
        Compare classes.
    bigunet evaluate found/ truth/ --kind instances --metric average-precision
        Compare numbered objects of all files of two folders.
    """,
)
@click.argument("prediction", type=PATH)
@click.argument("truth", type=PATH)
@declared_options(EvaluateOptions)
@config_option()
@json_option
def evaluate(prediction: str, truth: str, *, as_json: bool, **given: Any) -> None:
    """Score PREDICTION against TRUTH: OME-Zarr, TIFF or PNG, single or in folders.

    Files of two folders belong together by name. One whole image is in memory at a time.
    """
    options = described(EvaluateOptions, given)
    with loading(dask=False):
        from bigunet.evaluation.evaluate import evaluate as run_evaluate

    result = run_evaluate(prediction, truth, options=options)
    for warning in result.warnings:
        say(f"Warning: {warning}")
    if as_json:
        print_json(result.to_dict())
    else:
        rows = {name.replace("_", " "): _word(value) for name, value in result.scores.items()}
        print_table({"images": len(result.images), **rows})


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_word(one)}" for name, one in value.items())
    if isinstance(value, float):
        return "nothing to score" if math.isnan(value) else f"{value:.4f}"
    return str(value)
