"""The verbs take options as keywords: the same result as with an options object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client
from PIL import Image

import bigunet
from bigunet import EvaluateOptions, Recipe, SegmentOptions, TrainOptions
from bigunet.errors import OptionError, TrainingError
from bigunet.training.run.training_run import TrainingRun


@pytest.fixture
def image(tmp_path: Path, write_image: Any) -> Path:
    write_image(tmp_path / "in.zarr", "cyx", metadata={"channels": ["DAPI", "GFP"]})
    return tmp_path / "in.zarr"


def test_segment_takes_keywords_and_lists(
    image: Path, tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    options = SegmentOptions(channels=("GFP",), roi={"x": (8, 40)}, block_shape=(64, 64))
    keywords = bigunet.segment(
        image, tmp_path / "1.zarr", model=tiny_model, client=client,
        channels=["GFP"], roi={"x": [8, 40]}, block_shape=[64, 64],
    )  # fmt: skip
    described = bigunet.segment(
        image, tmp_path / "2.zarr", model=tiny_model, client=client, options=options
    )
    assert keywords.plan.options == described.plan.options
    assert keywords.plan.channels == (1,)
    first, second = (
        zarr.open_array(tmp_path / name / "labels/classes/0", mode="r")[...]
        for name in ("1.zarr", "2.zarr")
    )
    np.testing.assert_array_equal(first, second)


def test_plan_takes_keywords_beside_options(image: Path, tiny_model: Path) -> None:
    options = SegmentOptions(channels=(0,))
    made = bigunet.plan(image, model=tiny_model, options=options, roi={"y": (0, 50)})
    assert (made.channels, made.region.shape) == ((0,), (50, 70))


@pytest.mark.parametrize(
    "verb",
    [
        lambda image, **given: bigunet.segment(image, **given),
        lambda image, **given: bigunet.plan(image, **given),
        lambda image, **given: next(bigunet.segment_images(image, "out", **given)),
        lambda image, **given: next(bigunet.segment_fields(image, **given)),
        lambda image, **given: bigunet.evaluate(image, image, **given),
        lambda image, **given: bigunet.train(image, image, out="m.safetensors", **given),
    ],
    ids=["segment", "plan", "segment_images", "segment_fields", "evaluate", "train"],
)
def test_a_keyword_that_no_option_has_is_refused_with_the_nearest(image: Path, verb: Any) -> None:
    with pytest.raises(OptionError, match=r"^\w+\(\) has no keyword 'chanels'; did you mean chann"):
        verb(image, chanels=["DAPI"])


def test_an_option_cannot_be_given_twice(image: Path) -> None:
    options = SegmentOptions(level=1)
    with pytest.raises(OptionError, match=r"^segment\(\) got level as a keyword and in options;"):
        bigunet.segment(image, options=options, level=1)
    with pytest.raises(OptionError, match=r"^train\(\) got steps as a keyword and in recipe;"):
        bigunet.train("i", "l", out="m", recipe=Recipe(steps=7), steps=8)


def test_evaluate_takes_keywords(tmp_path: Path) -> None:
    truth = np.zeros((20, 30), np.uint8)
    truth[2:12, 3:13] = 1
    Image.fromarray(truth).save(tmp_path / "truth.png")
    score = bigunet.evaluate(
        tmp_path / "truth.png", tmp_path / "truth.png", kind="instances", metrics=["seg"]
    )
    assert score.options == EvaluateOptions("instances", metrics=("seg",))
    assert score.scores["seg"] == 1


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, TrainingRun]:
    """What train() would run."""
    runs: dict[str, TrainingRun] = {}
    monkeypatch.setattr(TrainingRun, "check_place", lambda self: runs.update(made=self))
    monkeypatch.setattr(TrainingRun, "check_files", lambda self: None)
    monkeypatch.setattr("bigunet.training.train.start_run", lambda run, on_event: None)
    monkeypatch.chdir(tmp_path)
    return runs


def test_train_gives_each_keyword_to_options_or_recipe(run: dict[str, TrainingRun]) -> None:
    bigunet.train(
        "i", "l", out="m.safetensors", target="classes", label_values=[0, 9], steps=7,
        augmentation={"noise": 0.2}, options=TrainOptions(width=8), validation=0.25,
    )  # fmt: skip
    made = run["made"]
    assert made.options == TrainOptions(
        width=8, target="classes", label_values=(0, 9), validation=0.25
    )
    assert made.recipe == Recipe(steps=7, augmentation=bigunet.Augmentation(noise=0.2))
    assert made.validation == ()


def test_train_validates_on_images_or_on_a_share(run: dict[str, TrainingRun]) -> None:
    bigunet.train("i", "l", out="m.safetensors", validation=("a", Path("b")))
    assert run["made"].validation == ("a", "b")
    assert run["made"].options == TrainOptions()
    with pytest.raises(OptionError, match=r"validation is 1\.5; give a share"):
        bigunet.train("i", "l", out="m.safetensors", validation=1.5)
    with pytest.raises(TrainingError, match="steps is '7': give a whole number"):
        bigunet.train("i", "l", out="m.safetensors", steps="7")  # type: ignore[arg-type]
