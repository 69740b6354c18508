"""Laws of lengths: they print and parse back, and units are powers of ten of one another."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import OptionError
from bigunet.options.image_kinds import Size
from bigunet.options.lengths import Length, Micrometres, Quantity
from bigunet.options.object_sizes import ObjectSizeKind
from bigunet.options.regions import Region

LENGTHS = st.builds(Length, st.floats(0, 1e18) | st.integers(0, 2**70))
ENDS = st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)) | st.tuples(LENGTHS, LENGTHS)
REGIONS = st.dictionaries(st.sampled_from("tzyx"), ENDS)


@given(LENGTHS)
def test_a_length_prints_and_parses_back(length: Length) -> None:
    assert Length.parse(str(length)) == length
    assert Micrometres().parse(str(length)) == pytest.approx(length.um)


@given(REGIONS)
def test_a_region_prints_and_parses_back(region: dict[str, Any]) -> None:
    kind = Region()
    made = kind.check(region, "roi")
    texts = [kind.show(item) for item in kind.items(made)]
    assert kind.gather([kind.parse(text) for text in texts], "--roi") == made
    assert kind.check({axis: list(map(str, ends)) for axis, ends in made.items()}, "roi") == made


@given(st.integers(0, 10**9), st.integers(1, 3))
def test_a_unit_is_a_thousand_of_the_next_smaller_one(number: int, power: int) -> None:
    sign = "" if power == 1 else str(power)
    read = [Quantity.read(f"{number}e{-3 * power * k}{unit}{sign}") for k, unit in UNITS]
    assert read == [Quantity.read(f"{number}nm{sign}")] * 3


UNITS = [(0, "nm"), (1, "um"), (2, "mm")]


@given(st.text() | st.from_regex(r"[0-9.e]{0,9} ?[nmuµμ]m\^?[23²³]?", fullmatch=True))
def test_any_text_is_a_quantity_or_none(text: str) -> None:
    quantity = Quantity.read(text)
    assert quantity is None or (quantity.value >= 0 and quantity.power in range(4))


@pytest.mark.parametrize(
    ("text", "um"),
    [
        ("10um", 10),
        ("10 UM", 10),
        ("10\N{MICRO SIGN}m", 10),
        ("10\N{GREEK SMALL LETTER MU}m", 10),
        ("0.25mm", 250),
        ("500 nm", 0.5),
        (".3nm", 0.0003),
    ],
)
def test_these_texts_are_lengths(text: str, um: float) -> None:
    assert Length.parse(text) == Length(um)


@pytest.mark.parametrize("text", ["", "10", "um", "-1um", "1um2", "1 km", "1e999um", "1um 2um"])
def test_these_texts_are_no_lengths(text: str) -> None:
    with pytest.raises(ValueError, match="is no length, such as 10um, 500nm"):
        Length.parse(text)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, True, "1", None])
def test_these_values_are_no_lengths(value: Any) -> None:
    with pytest.raises(OptionError, match=r"^length is .*; give "):
        Length(value)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ((10, "250um"), "roi x=10:250um: 10 has no unit and the other end has one; give both"),
        (("10um", 500), "roi x=10um:500: 500 has no unit"),
        (("10um", "20um2"), "roi x is '20um2': give voxels or a length, such as '10um'"),
        ((1.5, 3), "roi x is 1.5: give a whole number"),
    ],
)
def test_ends_of_two_kinds_are_refused(ends: tuple[Any, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Region().check({"x": ends}, "roi")


@pytest.mark.parametrize("text", ["x=0:10um", "x=0um:512", "X = 5nm : 1mm", "x=0:512"])
def test_zero_is_the_same_place_in_every_unit(text: str) -> None:
    axis, ends = Region().parse(text)
    assert axis == "x"
    assert Region().check({"x": ends}, "roi") == {"x": ends}


@given(st.integers(1, 999_999))
def test_a_small_number_of_bytes_needs_a_unit(number: int) -> None:
    with pytest.raises(ValueError, match=f"'{number}' has no unit: give it, such as {number}GB"):
        Size().parse(str(number))
    assert Size().parse(f"{number}B") == number == Size().check(f"{number}B", "memory_limit")


def test_sizes_of_objects_have_every_unit_of_length() -> None:
    kind = ObjectSizeKind()
    assert kind.parse("0.03mm2") == kind.parse("30000um2") == kind.parse("3e10nm2")
    assert kind.parse("5e8 nm³") == kind.parse("0.5um3")
    with pytest.raises(ValueError, match="is not a size such as 20"):
        kind.parse("3um")
