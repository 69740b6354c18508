"""``bigunet train``: options arrive, bad input is one line, and what it says is true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image
from support.training_images import BIGUNET, write_array, write_folders

from bigunet import Recipe, load_model
from bigunet.training.run.budget import Budget

QUICK = [
    *("--width", 2, "--depth", 1, "--patch", 16, "--steps", 2, "--validate-every", 1),
    *("--loaders", 0, "--border-sigma", 2.0, "--optimiser", "adamw"),
]
NUCLEI = ["--from", "nuclei", "--width", 24, "--depth", 3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folders(tmp_path)
    return tmp_path


def command(folder: Path, *more: object) -> list[object]:
    out = folder / "m.safetensors"
    return ["train", folder / "images", folder / "labels", "--out", out, *QUICK, *more]


def test_options_arrive_in_the_model_file(bigunet: Any, folder: Path) -> None:
    (folder / "card.json").write_text(json.dumps({"licence": "CC0-1.0"}))
    outcome = bigunet(
        *command(folder, "--json", "--momentum", 0.5, "--seed", 3, "--card", folder / "card.json"),
        *("--augment", "elastic_voxels=4", "--augment", "scale=0.5,2", "--half", "--name", "cells"),
        *("--class-name", "nothing", "--class-name", "cell", "--class-name", "edge"),
    )
    assert outcome.code == 0, outcome.err
    assert outcome.json["steps"] == 2
    known = load_model(folder / "m.safetensors").description
    recipe = Recipe.from_dict(known.training["recipe"])
    assert (recipe.momentum, recipe.seed, recipe.patch) == (0.5, 3, 16)
    assert (recipe.augmentation.elastic_voxels, recipe.augmentation.scale) == (4, (0.5, 2))
    assert known.name == "cells"
    assert [c.name for c in known.classes] == ["nothing", "cell", "edge"]
    assert known.card["licence"] == "CC0-1.0"


def test_people_read_scores_and_where_the_model_is(bigunet: Any, folder: Path) -> None:
    outcome = bigunet(*command(folder))
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    first, classes, *validations, ended, never_rose, kept, record = outcome.messages
    assert first.startswith("3 images to learn from, 1 to validate on; 1 channel, ")
    assert classes == "classes: background (69.1 %), cell (26.1 %), border (4.8 %)"
    assert [line.split(":")[0] for line in validations] == ["step 1", "step 2"]
    assert ended.startswith("trained 2 steps")
    assert ended.endswith("% of the time waiting for patches")
    # Two steps find no cell.
    assert never_rose.startswith("the validation score never rose above 0; the weights of the last")
    assert str(folder / "m.safetensors") in kept
    assert str(folder / "m.training") in record
    assert bigunet("info", folder / "m.safetensors").code == 0


def test_a_table_of_paths_needs_no_labels(bigunet: Any, folder: Path) -> None:
    rows = [f"images/{k}.png,labels/{k}.png" for k in range(4)]
    (folder / "table.csv").write_text("\n".join(["image,labels", *rows]))
    outcome = bigunet("train", folder / "table.csv", "--out", folder / "m.safetensors", *QUICK)
    assert outcome.code == 0, outcome.err


def test_images_of_their_own_can_validate(bigunet: Any, folder: Path) -> None:
    outcome = bigunet(*command(folder, "--validate", folder / "images", folder / "labels"))
    assert "4 images to learn from, 4 to validate on" in outcome.err
    assert "Warning: 4 of 4 images to validate on are learned from, too" in outcome.err


def test_images_and_channels_are_counted_in_the_first_lines(bigunet: Any, folder: Path) -> None:
    paths = [folder / "images" / "0.png", folder / "labels" / "0.png"]
    grey = np.asarray(Image.open(paths[0]))
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(paths[0])
    outcome = bigunet("train", *paths, "--out", folder / "m.safetensors", *QUICK)
    assert outcome.code == 0, outcome.err
    begun, _, channels, *_ = outcome.messages
    assert begun.startswith("1 image to learn from; a part of it is kept apart to validate on")
    assert "; 3 channels, " in begun
    assert "0.png are the same: --channel 0 would train on one" in channels
    again = bigunet("train", *paths, "--out", folder / "m.safetensors", *QUICK, "--overwrite")
    assert "stays that of the run before until the first validation" in again.err


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        (["--minutes", 0.001], "--steps 2 has no effect: --minutes ends the run"),
        (["--freeze-statistics", 0.5], "--freeze-statistics has no effect: the network has no"),
        (
            ["--network", "sliding-window", "--batch-norm"],
            "--batch-norm has no effect: the network",
        ),
    ],
)
def test_an_option_without_effect_is_warned_of(
    bigunet: Any, folder: Path, more: list[object], warning: str
) -> None:
    outcome = bigunet(*command(folder, *more))
    assert outcome.code == 0, outcome.err
    assert [line for line in outcome.messages if "no effect" in line] == [outcome.messages[0]]
    assert outcome.messages[0].startswith(f"Warning: {warning}")


def test_options_may_repeat_the_numbers_of_the_network_to_go_on_from(
    bigunet: Any, folder: Path
) -> None:
    assert bigunet(*command(folder)).code == 0
    more = ["--from", folder / "m.safetensors", "--out", folder / "n.safetensors"]
    assert bigunet(*command(folder, *more)).code == 0


@pytest.mark.parametrize("option", [[], ["--overwrite"], ["--resume"]])
def test_what_is_no_model_is_never_replaced(
    bigunet: Any, folder: Path, option: list[object]
) -> None:
    (folder / "m.safetensors").write_text("notes")
    outcome = bigunet(*command(folder, *option))
    assert outcome.code == 1
    assert "m.safetensors exists and is no model of bigunet" in outcome.messages[0]
    assert (folder / "m.safetensors").read_text() == "notes"


def test_only_the_last_folder_is_made(bigunet: Any, folder: Path) -> None:
    outcome = bigunet(*command(folder, "--out", folder / "no" / "such" / "m.safetensors"))
    assert outcome.code == 1
    assert f"there is no folder {folder / 'no'} to write" in outcome.messages[0]
    assert not (folder / "no").exists()
    assert bigunet(*command(folder, "--out", folder / "made" / "m.safetensors")).code == 0


def other_shape(folder: Path) -> None:
    path = folder / "labels" / "1.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(path)


def labels_missing(folder: Path) -> None:
    (folder / "labels" / "2.png").unlink()


def float_labels(folder: Path) -> None:
    (folder / "labels" / "1.png").unlink()
    tifffile.imwrite(folder / "labels" / "1.tif", np.full((60, 50), 0.5, np.float32))


def nothing_labelled(folder: Path) -> None:
    for path in (folder / "labels").iterdir():
        Image.fromarray(np.zeros((60, 50), np.uint8)).save(path)


def not_a_number(folder: Path) -> None:
    for path in list((folder / "images").iterdir()):
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), np.full((60, 50), np.nan, np.float32))


def some_not_numbers(folder: Path) -> None:
    for path in list((folder / "images").iterdir()):
        path.unlink()
        image = np.random.default_rng(0).random((60, 50)).astype(np.float32)
        image[::3] = np.nan
        tifffile.imwrite(path.with_suffix(".tif"), image)


def masks_of_bits(folder: Path) -> None:
    path = folder / "labels" / "1.png"
    Image.fromarray(np.asarray(Image.open(path)) > 0).save(path)


def nothing_can_be_written(folder: Path) -> None:
    (folder / "m.training").write_text("a file where the record's folder is to be")


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "more", "words"),
    [
        (other_shape, [], ("1.png", "(60, 50)", "(9, 9)")),
        (labels_missing, [], ("2",)),
        (float_labels, [], ("1.tif", "holds 0.5 at y 0, x 0")),
        (nothing_labelled, [], ("class cell, border", "never occurs")),
        (not_a_number, [], ("no finite",)),
        (some_not_numbers, [], ("NaN or infinite",)),
        (nothing, ["--learning-rate", 0], ("--learning-rate is 0",)),
        (nothing, ["--augment", "elastic=4"], ("elastic=4", "elastic_voxels")),
        (nothing, ["--augment", "scale=a"], ("a is no number",)),
        (nothing, [*NUCLEI, "--target", "boundaries"], ("has 2 axes", "3 scores")),
        (nothing, ["--from", "nuclei"], ("--width is 2, but 24 in the model nuclei", "--from")),
        (nothing, ["--ndim", 3], ("y, x", "sees more")),
        (nothing, ["--class-name", "a"], ("1 class names for 3 classes",)),
        (nothing, ["--card", "none.json"], ("none.json",)),
        (nothing, ["--resume"], ("no checkpoint",)),
        (nothing, ["--resume", "--overwrite"], ("give one of them",)),
        (nothing, ["--target", "classes", "--label-values", "0,1"], ("label", "0, 1")),
        (nothing, ["--device", "cuda"], ("has no GPU of its own",)),
        (nothing, ["--voxel-size", "1,1,1,1"], ("4 axes",)),
        (nothing, ["--voxel-size", "1"], ("1 axes", "y, x")),
        (nothing, ["--augment", "scale=2"], ("scale is (2,)", "smallest <= largest")),
        (nothing, ["--augment", "flips=3"], ("flips is 3", "true or false")),
        (nothing, ["--augment", "noise=true"], ("noise is True", "give numbers")),
        (nothing, ["--augment", "noise=1,2"], ("noise is (1, 2)", "give numbers")),
        (nothing, ["--low", 99, "--high", 2], ("low is 99", "high 2")),
        (nothing, ["--high", 101], ("101", "0 to 100")),
        (nothing, ["--target", "classes", "--score", "v-rand"], ("v-rand", "cells")),
        (masks_of_bits, [], ("1.png", "true and false", "--connected")),
        (nothing_can_be_written, [], ("cannot write", "m.training")),
    ],
)
def test_what_does_not_fit_is_one_line(
    bigunet: Any,
    folder: Path,
    spoil: Callable[[Path], None],
    more: list[object],
    words: tuple[str, ...],
) -> None:
    spoil(folder)
    outcome = bigunet(*command(folder, *more, "--quiet"))
    assert outcome.code == 1, outcome.err
    (line,) = (line for line in outcome.messages if not line.startswith("Warning: "))
    for word in words:
        assert word in line
    assert not (folder / "m.safetensors").exists()


def test_labels_of_another_scale_are_refused(bigunet: Any, tmp_path: Path) -> None:
    for name, scale in (("i.zarr", (0.5, 0.5)), ("l.zarr", (0.25, 0.25))):
        write_array(tmp_path / name, np.eye(64, dtype=np.uint8), scale)
    out = tmp_path / "m.safetensors"
    outcome = bigunet("train", tmp_path / "i.zarr", tmp_path / "l.zarr", "--out", out, *QUICK)
    assert outcome.code == 1
    assert "0.25" in outcome.messages[0]
    assert "0.5" in outcome.messages[0]


@pytest.mark.slow
def test_a_lost_loader_is_said_in_one_line(folder: Path) -> None:
    given = command(folder, "--steps", 100_000, "--validate-every", 5, "--loaders", 1, "--quiet")
    with subprocess.Popen([str(BIGUNET), *map(str, given)], stderr=subprocess.PIPE) as process:
        wait_for(folder / "m.training" / "curves.png")
        for child in psutil.Process(process.pid).children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
        _, text = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"process that draws patches was lost" in text.splitlines()[-1]
    assert b"Traceback" not in text


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "Interrupted"), (signal.SIGTERM, "Terminated")]
)
def test_stopped_with_all_its_processes_it_leaves_one_line_and_a_run_that_goes_on(
    folder: Path, number: signal.Signals, word: str
) -> None:
    given = command(folder, "--steps", 10_000, "--validate-every", 5, "--loaders", 1)
    with subprocess.Popen(
        [str(BIGUNET), *map(str, given)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_for(folder / "m.training" / "curves.png")
        os.killpg(process.pid, number)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    # torch may complain of loaders that ended before it, in a destructor.
    assert number == signal.SIGTERM or "Traceback" not in text
    assert f"{word}; go on with the same command and --resume." in text.splitlines()


@pytest.mark.parametrize(
    ("number", "more", "line"),
    [
        (signal.SIGINT, [], "Interrupted; go on with the same command and --resume."),
        (signal.SIGTERM, [], "Terminated; go on with the same command and --resume."),
        (signal.SIGINT, ["--resume"], "Interrupted; go on with the same command."),
        (
            signal.SIGTERM,
            ["--overwrite"],
            "Terminated; go on with the same command, --resume in the place of --overwrite.",
        ),
    ],
)
def test_what_is_stopped_says_how_it_goes_on(
    bigunet: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    more: list[str],
    line: str,
) -> None:
    def stopped(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr("bigunet.training.train.train", stopped)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = bigunet(*command(folder, *more))
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.code == 128 + number
    assert outcome.messages[-1] == line
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "Interrupted"), (signal.SIGTERM, "Terminated")]
)
def test_stopped_while_it_starts_it_leaves_one_line(number: signal.Signals, word: str) -> None:
    program = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
number = int(sys.argv.pop())

class Interrupting:
    def find_spec(self, name, *_):
        if name == "torch":
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Interrupting())
from bigunet_cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "models", str(int(number))], capture_output=True, text=True
    )
    assert done.returncode == 128 + number
    assert done.stderr == f"{word}.\n"


def test_unknown_classes_are_named_before_the_first_step(bigunet: Any, folder: Path) -> None:
    write_folders(folder / "other")
    for root, values in ((folder, (0, 1)), (folder / "other", (0, 5))):
        for path in (root / "labels").iterdir():
            classes = np.where(np.asarray(Image.open(path)) > 0, values[1], values[0])
            Image.fromarray(classes.astype(np.uint8)).save(path)
    apart = (folder / "other" / "images", folder / "other" / "labels")
    outcome = bigunet(*command(folder, "--target", "classes", "--validate", *apart))
    assert outcome.code == 1
    assert len(outcome.messages) == 1
    for word in ("other/labels", "label 5 is none", "0, 1"):
        assert word in outcome.messages[0]


def classes_with_holes(folder: Path) -> list[object]:
    """Labels 0 and 1, and 255 where nobody annotated; what trains on them."""
    for path in (folder / "labels").iterdir():
        labels = (np.asarray(Image.open(path)) > 0).astype(np.uint8)
        labels[:, :20] = 255
        Image.fromarray(labels).save(path)
    return command(folder, "--target", "classes", "--json", "--steps", 1)


def test_a_value_that_looks_like_not_annotated_is_refused_with_both_remedies(
    bigunet: Any, folder: Path
) -> None:
    outcome = bigunet(*classes_with_holes(folder))
    assert outcome.code == 1
    (line,) = outcome.messages
    assert "the label 255 (40.0 %" in line
    assert "--ignore 255 if it means not annotated, or --label-values 0,1,255 if it" in line


def test_ignored_voxels_have_no_share_of_the_classes(bigunet: Any, folder: Path) -> None:
    outcome = bigunet(*classes_with_holes(folder), "--ignore", 255)
    assert outcome.code == 0, outcome.err
    assert outcome.json["annotated_share"] == pytest.approx(0.6)
    shares = outcome.json["classes"]
    assert list(shares) == ["0", "1"]
    assert sum(shares.values()) == pytest.approx(1)
    zero, one = (f"{100 * share:.1f} %" for share in shares.values())
    assert f"classes: 0 ({zero}), 1 ({one}); not annotated: 40.0 %" in outcome.messages
    known = load_model(folder / "m.safetensors").description
    assert known.training["options"]["ignore"] == [255]
    assert len(known.classes) == 2


def test_a_value_cannot_be_ignored_and_a_class(bigunet: Any, folder: Path) -> None:
    outcome = bigunet(*classes_with_holes(folder), "--ignore", 1, "--label-values", "0,1")
    assert outcome.code == 1
    assert outcome.messages == ["Error: 1 is to be ignored and a class; give it once"]


def test_a_run_by_the_clock_says_how_much_it_validates_on(
    bigunet: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "seconds", 1e-9)
    outcome = bigunet(*command(folder, "--minutes", 0.001))
    assert outcome.code == 0, outcome.err
    # One piece of a patch of 16 by 16, of an image of 60 by 50, cut to its shape.
    (line,) = [line for line in outcome.messages if line.startswith("validation looks at")]
    assert line.startswith("validation looks at 8.5% of the images' voxels, as fits the minutes")
