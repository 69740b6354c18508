"""Laws of the channels that a model reads: chosen by name, or refused, but never guessed."""

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
    """The channels that are read without a choice of the user; None if the user must choose."""
    try:
        return choose_channels(image(*names), model(*channels), ())
    except OptionError:
        return None


@settings(deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=4), NAMES)
def test_one_of_several_channels_is_read_only_if_it_alone_has_the_name(
    names: list[str], needed: str
) -> None:
    exact = [k for k, name in enumerate(names) if name == needed]
    alike = exact or [k for k, name in enumerate(names) if name.lower() == needed.lower()]
    expected = tuple(alike) if is_real(needed) and len(alike) == 1 else None
    assert chosen(names, [needed]) == expected


@settings(deadline=None)
@given(NAMES, NAMES)
def test_a_model_of_one_channel_reads_the_only_channel_of_an_image_whatever_the_names(
    name: str, needed: str
) -> None:
    assert chosen([name], [needed]) == (0,)


@settings(deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=3).flatmap(
    lambda names: st.tuples(st.just(names), st.permutations(names))
))  # fmt: skip
def test_channels_are_read_in_order_unless_a_real_name_disagrees(
    both: tuple[list[str], list[str]],
) -> None:
    names, needed = both
    channels = chosen(names, needed)
    real = [name for name in needed if is_real(name)]
    if not real:
        assert channels == tuple(range(len(names)))
    elif channels is not None:
        for index, name in zip(channels, needed):
            assert not is_real(name) or names[index].lower() == name.lower()


@pytest.mark.parametrize(
    ("names", "needed", "expected"),
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
    names: list[str], needed: list[str], expected: tuple[int, ...] | None
) -> None:
    assert chosen(names, needed) == expected


def test_the_message_lists_the_channels_to_choose_from() -> None:
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


def test_an_rgb_image_needs_a_chosen_channel_for_a_model_that_reads_one() -> None:
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
