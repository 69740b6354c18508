"""Laws of the channels that a model reads: chosen, beyond doubt, or asked for; never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet import ModelDescription, Normalisation
from bigunet.errors import OptionError
from bigunet.io.images.axes import axes_of
from bigunet.io.images.channels import is_real
from bigunet.io.images.multiscale import Level, Multiscale
from bigunet.model.description import default_classes
from bigunet.segmentation.plan.channel_choice import choose_channels

NAMES = st.sampled_from(["", "0", "1", "Channel 0", "DAPI", "dapi", "GFP", "RFP"])


def image(*names: str, is_rgb: bool = False) -> Multiscale:
    shape = (len(names), 8, 9)
    level = Level("0", shape, shape, None, "uint8", (1.0,) * 3, (0.0,) * 3)
    return Multiscale(
        "/i", "i", axes_of("cyx"), (level,), names, False, is_rgb, version="0.4", zarr_format=2
    )


def model(*channels: str) -> ModelDescription:
    return ModelDescription("m", {}, default_classes(2), channels, Normalisation())


def chosen(names: list[str], channels: list[str]) -> tuple[int, ...] | None:
    """What is read without a choice; None if the user is asked."""
    try:
        return choose_channels(image(*names), model(*channels), ())
    except OptionError:
        return None


@settings(deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=4), NAMES)
def test_of_several_channels_one_is_read_only_by_a_real_name_that_it_alone_has(
    names: list[str], wanted: str
) -> None:
    exact = [k for k, name in enumerate(names) if name == wanted]
    alike = exact or [k for k, name in enumerate(names) if name.lower() == wanted.lower()]
    expected = tuple(alike) if is_real(wanted) and len(alike) == 1 else None
    assert chosen(names, [wanted]) == expected


@settings(deadline=None)
@given(NAMES, NAMES)
def test_the_only_channel_is_read_by_a_model_of_one_whatever_they_are_called(
    name: str, wanted: str
) -> None:
    assert chosen([name], [wanted]) == (0,)


@settings(deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=3).flatmap(
    lambda names: st.tuples(st.just(names), st.permutations(names))
))  # fmt: skip
def test_channels_are_taken_in_order_only_where_no_real_name_says_otherwise(
    both: tuple[list[str], list[str]],
) -> None:
    names, wanted = both
    found = chosen(names, wanted)
    real = [name for name in wanted if is_real(name)]
    if not real:
        assert found == tuple(range(len(names)))
    elif found is not None:
        for index, name in zip(found, wanted):
            assert not is_real(name) or names[index].lower() == name.lower()


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["", "", ""], ["0"], None),
        (["2", "1", "0"], ["0"], None),
        (["Channel 0", "Channel 1"], ["Channel 0"], None),
        (["GFP", "DAPI"], ["DAPI"], (1,)),
        (["GFP", "dapi "], ["DAPI"], (1,)),
        (["DAPI", "DAPI"], ["DAPI"], None),
        (["GFP", "DAPI"], ["DAPI", "GFP"], (1, 0)),
        (["GFP", "DAPI"], ["DAPI", "RFP"], None),
        (["GFP", "RFP"], ["DAPI", "YFP"], None),
        (["GFP", "DAPI"], ["0", "1"], (0, 1)),
        (["", ""], ["DAPI", "GFP"], (0, 1)),
        (["0", "1"], ["DAPI", "GFP"], (0, 1)),
        (["DAPI", ""], ["DAPI", "GFP"], (0, 1)),
        (["", "DAPI"], ["DAPI", "GFP"], None),
        (["a", "b", "c"], ["0", "1"], None),
        (["a"], ["x", "y"], None),
    ],
)
def test_channels_without_a_choice(
    names: list[str], wanted: list[str], expected: tuple[int, ...] | None
) -> None:
    assert chosen(names, wanted) == expected


def test_of_several_channels_the_list_is_told() -> None:
    with pytest.raises(OptionError) as caught:
        choose_channels(image("", "GFP", ""), model("0"), ())
    assert str(caught.value) == (
        "model 'm' reads 1 channel(s); choose from those of /i with --channel: "
        "0 (no name), 1 'GFP', 2 (no name)"
    )


def test_names_that_disagree_are_refused_with_both_lists() -> None:
    with pytest.raises(OptionError) as caught:
        choose_channels(image("GFP", "RFP"), model("DAPI", "YFP"), ())
    assert str(caught.value) == (
        "model 'm' reads 2 channel(s) (DAPI, YFP), but /i has the channels 0 'GFP', 1 'RFP': give "
        "--channel once for each, in the model's order"
    )


def test_of_an_rgb_image_a_model_of_one_channel_asks_for_one_and_then_reads_it() -> None:
    colours = image("red", "green", "blue", is_rgb=True)
    with pytest.raises(OptionError, match=r"is an RGB image .* reads 1 grey channel: choose one"):
        choose_channels(colours, model("0"), ())
    assert choose_channels(colours, model("0"), ("green",)) == (1,)
    assert choose_channels(colours, model("0", "1", "2"), ()) == (0, 1, 2)
    assert choose_channels(colours, model("green"), ()) == (1,)


def test_a_choice_must_have_as_many_channels_as_the_model() -> None:
    with pytest.raises(OptionError, match=r"reads 2 channel\(s\) \(A, B\), but 1 were chosen"):
        choose_channels(image("A", "B"), model("A", "B"), (0,))
    assert choose_channels(image("A", "B"), model("0", "1"), ("B", 0)) == (1, 0)
