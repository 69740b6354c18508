"""The recipe: checked once, and the same after JSON."""

from __future__ import annotations

import json

import pytest

from bigunet.errors import TrainingError
from bigunet.training.data.augment import Augmentation
from bigunet.training.data.targets import TargetKind
from bigunet.training.recipe import Recipe
from bigunet.training.schedule import learning_rate


def test_a_recipe_comes_back_from_json() -> None:
    recipe = Recipe(steps=7, momentum=0.9, augmentation=Augmentation(scale=(0.5, 2.0)))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_the_defaults_are_the_papers() -> None:
    recipe = Recipe()
    assert (recipe.batch, recipe.momentum, recipe.optimiser) == (1, 0.99, "sgd")
    assert (recipe.border_sigma, recipe.class_balance) == (5.0, 1.0)
    augmentation = recipe.augmentation
    assert (augmentation.elastic_voxels, augmentation.elastic_points) == (10.0, 3)
    assert augmentation.interpolation_order == 3


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"optimiser": "adam"}, "known: sgd, adamw"),
        ({"steps": 0}, "steps is 0; give at least 1"),
        ({"batch": -1}, "batch is -1"),
        ({"minutes": -1.0}, "minutes is -1.0; give 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; give a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"momentum": 1.0}, "momentum is 1.0; give 0 to below 1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_number_out_of_its_range_is_named(numbers: dict[str, object], match: str) -> None:
    with pytest.raises(TrainingError, match=match):
        Recipe(**numbers)  # type: ignore[arg-type]


def test_the_learning_rate_rises_and_then_falls() -> None:
    recipe = Recipe(learning_rate=0.5, warm_up=0.25)
    rates = [learning_rate(recipe, share / 100) for share in range(101)]
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert max(rates) == 0.5


def test_a_constant_schedule_stays_where_the_warm_up_led() -> None:
    recipe = Recipe(learning_rate=0.5, warm_up=0.1, schedule="constant")
    assert {learning_rate(recipe, share) for share in (0.1, 0.5, 1.0)} == {0.5}


@pytest.mark.parametrize(
    ("given", "kind", "ndim", "expected"),
    [
        (None, "cells", 2, 10.0),
        (None, "cells", 3, 10.0),
        (None, "boundaries", 2, 10.0),
        (None, "boundaries", 3, 0.0),  # a distance transform for each segment takes too long
        (4.0, "boundaries", 3, 4.0),
        (0.0, "cells", 2, 0.0),
    ],
)
def test_boundaries_of_volumes_have_no_border_weight_unless_one_is_given(
    given: float | None, kind: TargetKind, ndim: int, expected: float
) -> None:
    assert Recipe(border_weight=given).border_weight_of(kind, ndim) == expected
