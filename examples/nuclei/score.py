"""Score a model on labelled nuclei: the fields that training keeps apart, and all of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bigunet import BigUNetError, Model, Normalisation, Recipe, TrainOptions, load_model
from bigunet.choices import Precision
from bigunet.metrics.objects import Matches, match_objects
from bigunet.model.inference.turning import turned
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import TargetRule
from bigunet.training.data.training_set import open_training_set
from bigunet.training.segmented_samples import segment_samples
from bigunet.training.validate import objects_of


def rule_of(model: Model) -> TargetRule:
    """The border that the model was taught, whose voxels are given back to the objects."""
    taught = model.description.training.get("options", {})
    if taught.get("target") != "cells":
        raise SystemExit(f"{model.description.name} was not trained with --target cells")
    if model.description.normalisation != Normalisation():
        raise SystemExit(f"{model.description.name} does not take percentiles 1 and 99.8")
    return TargetRule("cells", border_width=taught["border_width"])


def count(model: Model, fields: Sequence[Sample], precision: Precision) -> Matches:
    """Objects that match at an IoU above 0.5, are missed, and are spurious."""
    rule, matches = rule_of(model), Matches()
    for one in segment_samples(model, fields, device="cpu", precision=precision):
        matches += match_objects(one.truth, objects_of(one.classes, rule))
    return matches


def told(name: str, fields: int, matches: Matches) -> str:
    return (
        f"{name}: {fields} fields, {matches.matched} matched, {matches.missed} missed, "
        f"{matches.spurious} spurious, average precision {matches.average_precision:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of images/ and labels/, as for train.sh")
    parser.add_argument("model", help="name or path")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--tta", action="store_true", help="average over rotations and mirrors")
    given = parser.parse_args()
    try:
        model = load_model(given.model)
        model = turned(model, square=True) if given.tta else model
        # Split and grey ranges are those of train.sh. No border: in few fields there may be none.
        fields = open_training_set(
            given.folder / "images", given.folder / "labels", TrainOptions(border_width=0), Recipe()
        )
        apart = count(model, fields.validation, given.precision)
        print(told("validation", len(fields.validation), apart), flush=True)
        rest = count(model, fields.samples, given.precision)
        print(told("all", len(fields.validation) + len(fields.samples), apart + rest))
    except BigUNetError as error:
        raise SystemExit(f"Error: {error}") from None


if __name__ == "__main__":
    main()
