"""Options of an evaluation: which go together, and which metrics they choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.evaluations import compare, noise

from bigunet.errors import OptionError
from bigunet.evaluation.evaluate_options import METRICS, EvaluateOptions


@pytest.mark.parametrize("kind", METRICS)
def test_each_metric_can_be_computed_alone(tmp_path: Path, kind: str) -> None:
    prediction, truth = noise((20, 30), 2), noise((20, 30), 2)
    whole = compare(tmp_path, prediction, truth, kind=kind).scores
    names = set()
    for name in METRICS[kind]:
        one = compare(tmp_path, prediction, truth, kind=kind, metrics=(name,)).scores
        assert one.items() <= whole.items()
        names |= one.keys()
    assert names == whole.keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cells"}, "kind is 'cells'; known: classes, instances, boundaries"),
        ({"metrics": ("seg",)}, "metric 'seg' is none for classes; known: dice"),
        ({"object_class": 0}, "object_class is for instances, not classes"),
        ({"border_class": 2}, "border_class is for instances, not classes"),
        ({"border_width": 2}, "border_width is for boundaries, not classes"),
        ({"kind": "instances", "border_class": 2}, "give object_class too"),
        ({"kind": "instances", "border_width": 2}, "give border_class too"),
        ({"kind": "instances", "object_class": 1, "border_class": 1}, "give two classes"),
        ({"interior": 0, "kind": "instances"}, "interior is for boundaries"),
        ({"label_values": (1, 1)}, "give each value once"),
        ({"threshold": 1.0}, "threshold is 1.0; give 0 to below 1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": 0.5, "kind": "instances", "object_class": 1}, "give one of them"),
        ({"level": -1}, "level is -1; give 0 or more"),
        ({"kind": "boundaries", "volumes": True, "metrics": ("warping-error",)}, "of planes"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        EvaluateOptions(**options)
