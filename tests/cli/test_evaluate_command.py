"""``bigunet evaluate``: options arrive, people read a table, programs one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    truth = np.zeros((20, 30), np.uint8)
    truth[2:12, 3:13] = 1
    truth[15:18, 20:25] = 2
    prediction = np.where(truth == 1, 2, 0).astype(np.uint8)
    prediction[18, 2] = 2
    for name, labels in (("found", prediction), ("truth", truth)):
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
    return tmp_path / "found.png", tmp_path / "truth.png"


def test_options_arrive_and_json_is_all_there_is_on_stdout(
    bigunet: Any, files: tuple[Path, Path]
) -> None:
    outcome = bigunet(
        *("evaluate", *files, "--kind", "instances", "--object-class", 2, "--smallest", 2),
        *("--metric", "seg", "--metric", "panoptic-quality", "--json"),
    )
    assert outcome.code == 0, outcome.err
    assert outcome.json["scores"] == {
        "matched": 1,
        "missed": 1,
        "spurious": 0,
        "panoptic_quality": 0.666667,
        "recognition_quality": 0.666667,
        "segmentation_quality": 1.0,
        "seg": 0.5,
    }
    assert outcome.json["kind"] == "instances"
    assert (outcome.json["object_class"], outcome.json["smallest"]) == (2, 2)
    assert outcome.json["images"][0]["truth"] == str(files[1])


def test_people_read_a_table(bigunet: Any, files: tuple[Path, Path]) -> None:
    outcome = bigunet("evaluate", *files, "--label-values", "0,2,1")
    assert outcome.code == 0, outcome.err
    rows = dict(line.split("  ", 1) for line in outcome.out.splitlines())
    assert rows["images"].strip() == "1"
    assert rows["dice"].strip() == "0: 0.9837, 1: 0.0000, 2: 0.9950"
    assert rows["pixel error"].strip() == "0.0267"


def test_doubts_are_said_beside_the_scores(bigunet: Any, files: tuple[Path, Path]) -> None:
    Image.fromarray(np.asarray(Image.open(files[0])) // 2 * 7).save(files[0])
    outcome = bigunet("evaluate", *files, "--json")
    assert outcome.code == 0
    (line,) = outcome.messages
    assert line.startswith("Warning: ")
    assert "no value but 0 in common" in line
    assert len(outcome.json["warnings"]) == 1


def test_without_a_match_there_is_no_segmentation_quality(
    bigunet: Any, files: tuple[Path, Path]
) -> None:
    prediction = np.zeros((20, 30), np.uint8)
    prediction[13, 5] = 1
    Image.fromarray(prediction).save(files[0])
    rows = bigunet("evaluate", *files, "--kind", "instances").out.splitlines()
    assert "segmentation quality    nothing to score" in rows
    assert "panoptic quality        0.0000" in rows


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("none", "none"), "the prediction"),
        ((".", "."), "is given as predictions and as truth; give two folders"),
        (("found.png", "."), "found.png is one prediction"),
        (("found.png", "none.png"), "has no truth"),
        (("none.csv", "found.png"), "names truth itself"),
    ],
)
def test_messages_speak_of_prediction_and_truth(
    bigunet: Any, files: tuple[Path, Path], given: tuple[str, str], words: str
) -> None:
    outcome = bigunet("evaluate", *(files[0].parent / name for name in given))
    assert outcome.code == 1
    (line,) = outcome.messages
    assert words in line
    assert "labels" not in line


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--metric", "seg"], 1, "metric 'seg' is none for classes"),
        (["--level", "3"], 1, "level 3"),
        (["--threshold", "2"], 1, "threshold is 2.0"),
        (["--label-values", "0,1"], 1, "label 2 is none of the classes' values"),
    ],
)
def test_what_does_not_fit_is_one_line(
    bigunet: Any, files: tuple[Path, Path], more: list[str], code: int, message: str
) -> None:
    outcome = bigunet("evaluate", *files, *more)
    assert outcome.code == code
    assert outcome.out == ""
    assert len(outcome.messages) == 1
    assert message in outcome.messages[0]


def test_a_missing_file_is_one_line(bigunet: Any, files: tuple[Path, Path]) -> None:
    outcome = bigunet("evaluate", files[0], files[1].with_name("none.png"))
    assert outcome.code == 1
    assert len(outcome.messages) == 1
    assert "none.png" in outcome.messages[0]
