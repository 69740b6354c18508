"""Presets of a training: what is given wins, and the file of a run asks for the same again."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pytest
from bigunet_cli.declared_options import described
from bigunet_cli.main import cli
from bigunet_cli.train import train as command
from hypothesis import given
from hypothesis import strategies as st

import bigunet as library
from bigunet import Augmentation, Recipe, TrainOptions
from bigunet.errors import OptionError
from bigunet.options.choices import PresetName
from bigunet.options.option_fields import option_fields
from bigunet.training.presets import preset_fields, preset_values
from bigunet.training.run.training_run import TrainingRun

NAMES: tuple[PresetName, ...] = get_args(PresetName)
FIELDS = [one.name for kind in (TrainOptions, Recipe) for one in option_fields(kind)]
# Another network, or the steps, also replace what belongs to them.
FREE = sorted({*FIELDS} - {"network", "steps"})
Runs = list[TrainingRun]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    """The runs that were asked for; none is begun."""
    asked: Runs = []

    def begin(run: TrainingRun, _: Callable[..., None]) -> None:
        run.folder.mkdir(exist_ok=True)
        asked.append(run)

    monkeypatch.setattr("bigunet.training.train.start_run", begin)
    monkeypatch.chdir(tmp_path)
    return asked


@given(st.sampled_from(NAMES), st.lists(st.sampled_from(FREE), unique=True), st.booleans())
def test_a_preset_sets_fields_that_are_not_given_and_no_others(
    name: PresetName, names: list[str], bf16: bool
) -> None:
    known = preset_fields(name)
    assert known <= set(FIELDS)
    taken = preset_values(name, dict.fromkeys(names), bf16=bf16)
    assert not set(taken) & set(names)
    assert set(taken) == known - set(names)


def test_the_paper_is_what_the_defaults_are() -> None:
    both = asdict(TrainOptions()) | asdict(Recipe())
    both["augmentation"] = Augmentation()
    paper = preset_values("paper", {}, bf16=True)
    assert paper == {name: both[name] for name in preset_fields("paper")}
    assert (paper["width"], paper["depth"], paper["patch"], paper["momentum"]) == (64, 4, 388, 0.99)


def test_other_networks_and_steps_replace_what_belongs_to_them() -> None:
    for others in ({"begin_from": "nuclei"}, {"network": "fcn"}):
        taken = preset_values("laptop", others, bf16=False)
        assert not {"network", "width", "depth", "batch_norm", "dropout"} & set(taken)
        assert (taken["batch"], taken["precision"], taken["minutes"]) == (2, "fp32", 15)
    assert "minutes" not in preset_values("laptop", {"steps": 100}, bf16=False)


def test_options_of_the_command_line_win_even_if_they_are_the_defaults(
    bigunet: Any, runs: Runs
) -> None:
    words = ["images", "labels", "--preset", "laptop", "--width", "64", "--batch", "5"]
    outcome = bigunet("train", *words, "--out", "m.safetensors", "--validation", "0.2", "--quiet")
    assert outcome.code == 0, outcome.err
    (run,) = runs
    assert (run.options.width, run.options.depth, run.options.validation) == (64, 3, 0.2)
    assert (run.recipe.batch, run.recipe.optimiser, run.recipe.minutes) == (5, "adamw", 15)
    assert run.preset == "laptop"


def test_what_a_preset_sets_is_printed(
    bigunet: Any, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigunet_cli.train._summary", lambda report: "done")
    words = ["--preset", "gpu", "--depth", "3", "--out", "m.safetensors", "--precision", "fp32"]
    lines = bigunet("train", "images", "labels", *words).messages
    assert lines[0] == (
        "preset gpu: --width=32 --batch-norm --dropout=0.0 --batch=8 --patch=256 "
        "--optimiser=adamw --freeze-statistics=0.5 --class-balance=0.25"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_a_run_asks_for_the_same_run(runs: Runs, name: PresetName) -> None:
    library.train(
        "images", "labels", out="m.safetensors", preset=name, width=64, class_balance=1.0,
        voxel_size_um=(0.5, 0.5), validation=("more", "truth"), card={"licence": "CC0-1.0"},
        augmentation=Augmentation(noise=0.2), weight_cache="terms",
    )  # fmt: skip
    (run,) = runs
    file = run.folder / "run.toml"
    params = command.make_context("it", [f"--config={file}"], **cli.context_settings).params
    assert described(TrainOptions, params) == run.options
    assert described(Recipe, params) == run.recipe
    others = {key: params[key] for key in ("images", "labels", "preset", "card", "weight_cache")}
    assert others == {
        "images": "images",
        "labels": "labels",
        "preset": name,
        "card": {"licence": "CC0-1.0"},
        "weight_cache": "terms",
    }
    assert params["validate"] == ("more", "truth")
    library.train(**tomllib.loads(file.read_text()) | {"out": "again.safetensors"})
    assert (runs[1].options, runs[1].recipe) == (run.options, run.recipe)


def test_a_preset_and_an_object_are_refused(runs: Runs) -> None:
    given: dict[str, Any] = {"out": "m.safetensors", "preset": "gpu"}
    for objects in ({"options": TrainOptions()}, {"recipe": Recipe()}):
        with pytest.raises(OptionError, match=r"^preset gpu goes with keywords, such as width=32"):
            library.train("images", "labels", **given, **objects)
    with pytest.raises(OptionError, match=r"^unknown preset 'cpu'; known: laptop, gpu, paper"):
        library.train("images", "labels", out="m.safetensors", preset="cpu")  # type: ignore[arg-type]
