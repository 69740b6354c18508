"""Score a model on labelled nuclei: first on the validation fields, then on all fields."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bigunet import BigUNetError, Model, Normalisation, Recipe, TrainOptions, load_model
from bigunet.metrics.matches import Matches
from bigunet.metrics.objects import match_objects
from bigunet.model.inference.turning import turned
from bigunet.options.choices import Precision
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import TargetRule
from bigunet.training.data.training_set import open_training_set
from bigunet.training.segmented_samples import segment_samples
from bigunet.training.validate import objects_of


def rule_of(model: Model) -> TargetRule:
    """The rule that made the training labels; scoring gives its border back to the objects."""
    options = model.description.training.get("options", {})
    if options.get("target") != "cells":
        raise SystemExit(f"{model.description.name} was not trained with --target cells")
    if model.description.normalisation != Normalisation():
        raise SystemExit(f"{model.description.name} does not take percentiles 1 and 99.8")
    return TargetRule("cells", border_width=options["border_width"])


def count(model: Model, fields: Sequence[Sample], precision: Precision) -> Matches:
    """How many objects match at an IoU above 0.5, are missing, or are spurious."""
    rule, matches = rule_of(model), Matches()
    for one in segment_samples(model, fields, device="cpu", precision=precision):
        matches += match_objects(one.truth, objects_of(one.classes, rule))
    return matches


def result_line(name: str, fields: int, matches: Matches) -> str:
    return (
        f"{name}: {fields} fields, {matches.matched} matched, {matches.missed} missed, "
        f"{matches.spurious} spurious, average precision {matches.average_precision:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with images/ and labels/, as for train.sh")
    parser.add_argument("model", help="the name or path of a model")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--tta", action="store_true", help="average over rotations and mirrors")
    arguments = parser.parse_args()
    try:
        model = load_model(arguments.model)
        model = turned(model, square=True) if arguments.tta else model
        # The split and the grey ranges are those of train.sh. The width of the border is 0, because
        # a class that no field contains would be an error.
        fields = open_training_set(
            arguments.folder / "images",
            arguments.folder / "labels",
            TrainOptions(border_width=0),
            Recipe(),
        )
        validation = count(model, fields.validation, arguments.precision)
        print(result_line("validation", len(fields.validation), validation), flush=True)
        rest = count(model, fields.samples, arguments.precision)
        print(result_line("all", len(fields.validation) + len(fields.samples), validation + rest))
    except BigUNetError as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
