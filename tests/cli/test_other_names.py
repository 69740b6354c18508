"""Names that a command or an option has elsewhere, had before, or almost has: say the right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bigunet import evaluate
from bigunet.errors import OptionError
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.options.option_fields import option_fields
from bigunet.segmentation.segment_options import SegmentOptions

OTHERS = [
    (other, one.name, one.flag)
    for one in option_fields(EvaluateOptions)
    for other in one.other_names
]


@pytest.mark.parametrize(("other", "name", "flag"), OTHERS)
def test_another_name_of_an_option_is_refused_with_its_own(
    bigunet: Any, tmp_path: Path, other: str, name: str, flag: str
) -> None:
    with pytest.raises(OptionError, match=rf"no keyword '{other}'; its name is {name}$"):
        evaluate("found.tif", "truth.tif", **{other: 1})  # type: ignore[arg-type]
    given = f"--{other.replace('_', '-')}"
    if given != flag:
        outcome = bigunet("evaluate", "found.tif", "truth.tif", given, "1")
        assert outcome.code == 2
        assert f"No such option '{given}'. Its name is {flag}." in outcome.err
    file = tmp_path / "options.toml"
    file.write_text(f"{other} = 1\n")
    outcome = bigunet("evaluate", "found.tif", "truth.tif", "--config", file)
    assert f"unknown key '{other}'; its name is {name}" in outcome.err


def test_evaluate_calls_objects_as_segment_calls_them() -> None:
    ours = {one.name for one in option_fields(EvaluateOptions)}
    theirs = {one.name for one in option_fields(SegmentOptions)}
    same = {"object_class", "border_class", "border_width", "smallest", "level"}
    assert same <= ours & theirs


@pytest.mark.parametrize(("typed", "meant"), [("segmnet", "segment"), ("vew", "view")])
def test_a_misspelt_command_is_answered_with_the_nearest(
    bigunet: Any, typed: str, meant: str
) -> None:
    outcome = bigunet(typed, "image.tif")
    assert outcome.code == 2
    assert f"No such command {typed!r}. Did you mean {meant!r}?" in outcome.err


def test_a_command_like_no_other_is_refused_without_a_guess(bigunet: Any) -> None:
    assert "Did you mean" not in bigunet("xyzzy").err
