"""Train a model of your own, and score it on other fields.

    python examples/03_own_model.py FOLDER MODEL.safetensors [STEPS]

FOLDER has images/ and labels/ for training, and held-out/images/ and held-out/labels/ for scores.
A label image has a number for each cell, and 0 for the background: docs/tutorials/own-model.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bigunet

OPTIONS = bigunet.TrainOptions(width=16, depth=3, batch_norm=True, dropout=0.0)


def recipe(steps: int) -> bigunet.Recipe:
    """A recipe for a laptop."""
    return bigunet.Recipe(
        steps=steps,
        batch=2,
        patch=128,
        optimiser="adamw",
        class_balance=0.25,
        freeze_statistics=0.5,
    )


def main() -> None:
    folder, model = Path(sys.argv[1]), Path(sys.argv[2])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    images, labels = folder / "images", folder / "labels"
    trained = bigunet.train(images, labels, out=model, options=OPTIONS, recipe=recipe(steps))
    print(trained)

    held_out, results = folder / "held-out", folder / "results"
    fields = sorted((held_out / "images").iterdir())
    for path, report in bigunet.segment_images(fields, results, model=model):
        failed = isinstance(report, bigunet.BigUNetError)
        print(path, report if failed else f"{report.objects.num_objects} cells")
    evaluation = bigunet.evaluate(results, held_out / "labels", kind="instances")
    print("average precision at an IoU of 0.5:", evaluation.scores["average_precision"]["0.50"])


if __name__ == "__main__":
    main()
