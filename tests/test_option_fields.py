"""Laws of declared options: one declaration gives checks, words, keywords and docs."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

import pytest

from bigunet import EvaluateOptions, Recipe, SegmentOptions, TrainOptions
from bigunet.engine.clusters.spec import ClusterSpec, JobSpec
from bigunet.errors import BigUNetError, OptionError
from bigunet.evaluation.evaluate_keywords import EvaluateKeywords
from bigunet.jobs.job_request import JobRequest
from bigunet.options.composed_kinds import Commas, Each
from bigunet.options.image_kinds import Size
from bigunet.options.lengths import Length
from bigunet.options.object_sizes import ObjectSize
from bigunet.options.option_fields import (
    check_fields,
    check_keywords,
    chosen,
    documented,
    option,
    option_fields,
    option_words,
    with_keywords,
)
from bigunet.options.option_kinds import Choice, Flag, Text, Whole
from bigunet.options.regions import End
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.training.train_keywords import TrainKeywords

DECLARED = (SegmentOptions, TrainOptions, Recipe, EvaluateOptions, ClusterSpec, JobSpec, JobRequest)


@documented
@dataclass(frozen=True, slots=True)
class Soup:
    """A soup.

    Raises
    ------
    OptionError
        If nobody can eat it.
    """

    salt: int = option(1, Whole(), "Grains of salt.", section="Taste", more="More is bad.")
    herbs: tuple[str, ...] = option(
        (), Each(Text(), "names"), "A herb.", section="Taste", flag="--herb", usual="dill"
    )
    size: tuple[int, ...] = option(
        (), Commas(Whole(), "whole numbers", "1,2"), "Size of the pot.", section="Pot"
    )
    hot: bool = option(False, Flag(), "Serve it hot.", section="Pot")
    kind: str = option("red", Choice(typing.Literal["red", "green"]), "Colour.", section="Taste")

    def __post_init__(self) -> None:
        check_fields(self)


def cook(pot: str, *, options: Soup | None = None, **keywords: Any) -> Soup:
    return chosen(Soup, options, keywords, cook)


def test_keywords_do_without_an_options_object_and_lists_stand_for_tuples() -> None:
    assert cook("big") == Soup()
    assert cook("big", salt=3, size=[4, 5]) == Soup(salt=3, size=(4, 5))
    assert cook("big", options=Soup(salt=2), hot=True) == Soup(salt=2, hot=True)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"slat": 3}, r"^cook\(\) has no keyword 'slat'; did you mean salt\?$"),
        ({"potts": 3}, r"^cook\(\) has no keyword 'potts'; did you mean pot\?$"),
        ({"zzz": 3}, r"no keyword 'zzz'; known: salt, herbs, size, hot, kind, pot, options$"),
        ({"options": Soup(salt=2), "salt": 3}, r"^cook\(\) got salt as a keyword and in options;"),
        ({"options": {"salt": 2}}, r"options is \{'salt': 2\}: give Soup or keywords"),
        ({"herbs": "dill"}, r"^herbs is 'dill': give a tuple of names$"),
        ({"kind": "blue"}, r"^kind is 'blue'; known: red, green$"),
    ],
)
def test_a_wrong_keyword_is_refused_in_one_line(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        cook("big", **keywords)


def test_keywords_of_two_classes_are_told_apart() -> None:
    check_keywords(cook, {"salt": 1, "steps": 2}, Soup, Recipe)
    assert with_keywords(Recipe, None, {"salt": 1, "steps": 2}, cook) == Recipe(steps=2)


def test_words_name_what_differs_from_the_defaults_and_nothing_else() -> None:
    assert option_words(Soup()) == []
    made = Soup(salt=2, herbs=("dill", "lovage"), size=(3, 4), hot=True)
    assert option_words(made) == ["--salt=2", "--herb=dill", "--herb=lovage", "--size=3,4", "--hot"]


def test_the_docstring_documents_each_field_before_the_other_sections() -> None:
    doc = inspect.getdoc(Soup) or ""
    assert doc.startswith(
        "A soup.\n\nParameters\n----------\n"
        "salt : int\n    Grains of salt. More is bad.\n"
        "herbs : tuple of str\n    A herb. By default: dill.\n"
    )
    assert doc.index("kind :") < doc.index("Raises")
    assert doc.endswith("If nobody can eat it.")


@pytest.mark.parametrize("described", DECLARED)
def test_each_option_is_explained_by_a_sentence_and_has_a_flag_of_its_own(described: type) -> None:
    flags = [one.flag for one in option_fields(described)]
    assert len(set(flags)) == len(flags)
    for one in option_fields(described):
        assert one.help[0].isupper()
        assert one.help.endswith(".")
        assert one.section
        assert not one.usual.endswith(".")


@pytest.mark.parametrize("described", DECLARED)
def test_each_default_passes_its_own_check(described: type) -> None:
    for one in option_fields(described):
        assert one.kind.check(one.default, one.name) == one.default


@pytest.mark.parametrize("described", DECLARED)
@pytest.mark.parametrize("value", [object(), b"x", {1}, 1j])
def test_a_value_of_no_kind_is_refused_in_one_line(described: Callable, value: Any) -> None:
    for one in option_fields(described):  # type: ignore[arg-type]
        name = getattr(one.kind, "noun", "") or one.name.removesuffix("s")
        with pytest.raises(BigUNetError, match=name) as refused:
            described(**{one.name: value})
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) <= 200


def as_keyword(hint: Any) -> Any:
    """The type of a keyword for a field of this type."""
    parts = typing.get_args(hint)
    known = {ObjectSize | None: ObjectSize | int | str | None, End: int | str | Length}
    if hint in known:
        return known[hint]
    if typing.get_origin(hint) is tuple:
        return Sequence[as_keyword(parts[0])]  # type: ignore[misc]
    if parts and parts[0] is str and len(parts) == 2:
        return typing.get_origin(hint)[str, as_keyword(parts[1])]
    return hint


@pytest.mark.parametrize(
    ("keywords", "classes"),
    [
        (SegmentKeywords, (SegmentOptions,)),
        (TrainKeywords, (TrainOptions, Recipe)),
        (EvaluateKeywords, (EvaluateOptions,)),
    ],
)
def test_type_checkers_know_the_keywords(keywords: type, classes: tuple[type, ...]) -> None:
    expected = {
        one.name: int | str
        if isinstance(one.kind, Size)
        else as_keyword(get_type_hints(described)[one.name])
        for described in classes
        for one in option_fields(described)
    }
    # A parameter of its own in train().
    expected.pop("validation", None)
    assert get_type_hints(keywords) == expected
