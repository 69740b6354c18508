"""Laws of the picture of a training run's curves."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bigunet.errors import OutputError
from bigunet.report.training_curves import draw_curves, is_logarithmic, scores_taken

LOSS_BLUE, SCORE_RED = (42, 127, 212), (212, 65, 42)
losses = st.one_of(st.floats(0, 1e6), st.sampled_from([math.nan, math.inf, -1.0, 1e-12]))
scores = st.one_of(st.floats(0, 1), st.just(math.nan))


def row(step: int, loss: float, score: float = math.nan) -> dict[str, float]:
    rest = {"learning_rate": 1e-3, "seconds": 1.0, "patches_per_second": 9.0, "waited": 0.1}
    return {"step": step, "loss": loss, "score": score, **rest}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def has(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((picture == color).all(axis=2).any())


@settings(max_examples=10, deadline=None)
@given(curve=st.lists(st.tuples(losses, scores), max_size=5))
def test_any_run_can_be_drawn_without_a_warning(curve, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("curves") / "curves.png"
    draw_curves([row(100 * i, *pair) for i, pair in enumerate(curve)], path)
    picture = pixels(path)
    assert picture.shape[0] > 400
    assert has(picture, LOSS_BLUE) == any(math.isfinite(loss) for loss, _ in curve)
    assert has(picture, SCORE_RED) == any(math.isfinite(score) for _, score in curve)


@given(curve=st.lists(losses, min_size=1, max_size=6), scale=st.floats(1e-3, 1e3))
def test_the_axis_is_logarithmic_if_losses_are_positive_and_span_a_decade(curve, scale) -> None:
    finite = [loss for loss in curve if math.isfinite(loss)]
    logarithmic = is_logarithmic(curve)
    assert logarithmic == is_logarithmic(curve[::-1]) == is_logarithmic([*curve, math.nan])
    if logarithmic:
        assert min(finite) > 0
        assert is_logarithmic([*curve, 20 * max(finite)])
        assert not is_logarithmic([*curve, 0.0])
    elif finite and min(finite) > 0:
        assert max(finite) < 10 * min(finite)


@pytest.mark.parametrize(
    ("curve", "logarithmic"),
    [
        ([2.0, 0.1], True),  # a decade and more
        ([2.0, 0.5], False),  # less
        ([0.0, 5.0], False),  # zero has no logarithm
        ([-1.0, 100.0], False),
        ([math.nan], False),  # nothing to draw
        ([math.inf, 3.0, 0.2], True),  # losses that are not finite are ignored
    ],
)
def test_examples_of_logarithmic_losses(curve, logarithmic) -> None:
    assert is_logarithmic(curve) is logarithmic


@given(curve=st.lists(scores, max_size=6))
def test_rows_without_a_score_are_left_out(curve) -> None:
    taken = scores_taken([row(i, 1.0, score) for i, score in enumerate(curve)])
    assert taken == [(i, score) for i, score in enumerate(curve) if score == score]


def test_drawing_leaves_no_figure_open_and_makes_the_folder(tmp_path: Path) -> None:
    draw_curves([row(1, 0.5, 0.1), row(2, 0.4)], tmp_path / "new" / "curves.png")
    assert (tmp_path / "new" / "curves.png").is_file()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_the_same_run_gives_the_same_picture(tmp_path: Path) -> None:
    rows = [row(i, 1 / (i + 1), i / 10) for i in range(10)]
    draw_curves(rows, tmp_path / "a.png")
    draw_curves(rows, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_picture_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write the picture .*curves\.png"):
        draw_curves([row(1, 1.0)], tmp_path / "file" / "curves.png")
    (tmp_path / "curves.png").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        draw_curves([row(1, 1.0)], tmp_path / "curves.png")
