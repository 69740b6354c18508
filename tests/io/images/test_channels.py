"""Laws of channel names: which channel a word means, and which names say something."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import OptionError
from bigunet.io.images.channels import (
    are_colours,
    channel_word,
    find_channel,
    is_real,
    listed,
)
from bigunet.options.image_kinds import Channel

LABELS = st.lists(st.sampled_from(["", "0", "1", "2", "A", "a", "DAPI", "two words"]), min_size=1)


@settings(deadline=None)
@given(LABELS, st.data())
def test_a_number_and_an_explicit_index_are_an_index_whatever_the_labels(
    labels: list[str], choice: st.DataObject
) -> None:
    index = choice.draw(st.integers(0, len(labels) - 1))
    assert find_channel(labels, index, "i") == index
    assert find_channel(labels, Channel().show(index), "i") == index


@settings(deadline=None)
@given(LABELS, st.sampled_from(["0", "1", "2"]))
def test_a_digit_is_an_index_unless_it_is_the_name_of_another_channel(
    labels: list[str], text: str
) -> None:
    index, named = int(text), [k for k, label in enumerate(labels) if label == text]
    if index < len(labels) and not set(named) - {index}:
        assert find_channel(labels, text, "i") == index
    elif index >= len(labels) and len(named) == 1:
        assert find_channel(labels, text, "i") == named[0]
    else:
        with pytest.raises(OptionError, match=r"say --channel|no channel|are all named"):
            find_channel(labels, text, "i")


@settings(deadline=None)
@given(LABELS, st.sampled_from(["0", "A", "a", "DAPI", "dapi", "Two Words", "two words"]))
def test_a_name_is_compared_exactly_first_and_then_without_case(
    labels: list[str], text: str
) -> None:
    exact = [k for k, label in enumerate(labels) if label == text]
    alike = [k for k, label in enumerate(labels) if label.lower() == text.lower()]
    matches = exact or alike
    if len(matches) == 1:
        assert find_channel(labels, f"name:{text}", "i") == matches[0]
    else:
        with pytest.raises(OptionError, match="are all named" if matches else "no channel"):
            find_channel(labels, f"name:{text}", "i")


def test_name_and_index_that_disagree_are_refused_with_both_and_what_to_say() -> None:
    message = (
        "channel '1' of i is the name of channel 0 and the index of channel 1 ('0'): say "
        "--channel index:1 or --channel name:1"
    )
    with pytest.raises(OptionError) as caught:
        find_channel(["1", "0"], "1", "i")
    assert str(caught.value) == message
    assert find_channel(["1", "0"], "name:1", "i") == 0
    assert find_channel(["1", "0"], "index:1", "i") == 1


@pytest.mark.parametrize("channel", [True, 1.0, None, b"1"])
def test_what_is_neither_number_nor_text_is_refused(channel: object) -> None:
    with pytest.raises(OptionError, match="give an index or a name"):
        find_channel(["A", "B"], channel, "i")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "codes", "expected"),
    [
        (("red", "green", "blue"), (), True),
        (("Red", "Green", "Blue", "alpha"), (), True),
        (("R", "G", "B"), (), True),
        (("", "", ""), ("FF0000", "00FF00", "0000FF"), True),
        (("", "", "", ""), ("#ff0000", "#00ff00", "#0000ff", ""), True),
        (("0", "1", "2"), ("FF0000", "00FF00", "0000FF"), True),
        (("DAPI", "GFP", "RFP"), ("FF0000", "00FF00", "0000FF"), False),  # stains
        (("", "", ""), ("0000FF", "00FF00", "FF0000"), False),  # another order
        (("", "", ""), ("", "", ""), False),
        (("red", "green"), (), False),
    ],
)
def test_colours_are_recognised_by_their_names_or_colour_codes(
    names: tuple[str, ...], codes: tuple[str, ...], expected: bool
) -> None:
    assert are_colours(names, codes) == expected


@pytest.mark.parametrize("name", ["DAPI", "488", "stain 0", "A", "Cy5", "c-Fos", "channel A"])
def test_names_that_say_something_are_real(name: str) -> None:
    assert is_real(name)


@pytest.mark.parametrize("name", ["", " ", "0", "12", "C1", "ch01", "Channel 3", "channel_0"])
def test_numbers_are_no_names(name: str) -> None:
    assert not is_real(name)


def test_lists_of_channels_are_short_and_on_one_line() -> None:
    assert listed(["A\nB", ""]) == r"0 'A\nB', 1 (no name)"
    assert len(listed(["x" * 10_000] * 10_000)) < 500


def test_a_model_is_named_by_what_the_user_called_the_channel() -> None:
    assert [channel_word(c) for c in ("DAPI", "name:1", "index:1", 1)] == ["DAPI", "1", "1", "1"]
