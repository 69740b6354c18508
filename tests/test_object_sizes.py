"""Laws of sizes of objects: they print and parse back, and become the least number of voxels."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import OptionError
from bigunet.options.object_sizes import ObjectSize, ObjectSizeKind

KIND = ObjectSizeKind()
SIZES = st.builds(ObjectSize, st.integers(0, 2**62)) | st.builds(
    ObjectSize, st.floats(0, 1e18) | st.integers(0, 2**62), st.sampled_from(("um2", "um3"))
)
DECIMALS = st.integers(1, 10**6).map(lambda n: n / 1000)


@given(SIZES)
def test_a_size_prints_and_parses_back(size: ObjectSize) -> None:
    assert KIND.parse(KIND.show(size)) == size
    assert KIND.check(KIND.show(size), "smallest") == size == KIND.check(size, "smallest")


@given(st.integers(2, 3), st.integers(0, 10**9), st.data())
def test_it_becomes_the_least_number_of_voxels_that_is_not_smaller(
    ndim: int, thousandths: int, data: st.DataObject
) -> None:
    voxel = data.draw(st.lists(DECIMALS, min_size=ndim, max_size=4))
    count = ObjectSize(thousandths / 1000, "um2" if ndim == 2 else "um3").voxels(voxel, ndim)
    volume = Fraction(1)
    for side in voxel[-ndim:]:
        volume *= Fraction(round(side * 1000), 1000)
    size = Fraction(thousandths, 1000)
    assert (count - 1) * volume < size <= count * volume or (count, size) == (0, 0)


@given(st.integers(2, 3), st.integers(0, 10**9), st.data())
def test_most_voxels_are_the_greatest_number_that_is_not_larger(
    ndim: int, thousandths: int, data: st.DataObject
) -> None:
    voxel = data.draw(st.lists(DECIMALS, min_size=ndim, max_size=4))
    size = ObjectSize(thousandths / 1000, "um2" if ndim == 2 else "um3")
    volume = math.prod(Fraction(round(side * 1000), 1000) for side in voxel[-ndim:])
    count = size.most_voxels(voxel, ndim)
    assert count * volume <= Fraction(thousandths, 1000) < (count + 1) * volume
    assert size.voxels(voxel, ndim) - count == (count * volume < Fraction(thousandths, 1000))


@given(st.integers(0, 10**4), st.lists(st.integers(1, 999), min_size=2, max_size=3))
def test_a_size_of_whole_voxels_is_not_rounded_up(count: int, hundredths: list[int]) -> None:
    ndim = len(hundredths)
    size = count * math.prod(hundredths) / 100**ndim
    voxel = [side / 100 for side in hundredths]
    assert ObjectSize(size, "um2" if ndim == 2 else "um3").voxels(voxel, ndim) == count


@given(st.integers(0, 2**62), st.none() | st.just((0.1, 0.1)), st.integers(1, 3))
def test_voxels_need_no_size_of_a_voxel(
    count: int, voxel: tuple[float, ...] | None, ndim: int
) -> None:
    assert ObjectSize(count).voxels(voxel, ndim) == count
    assert ObjectSize(count).most_voxels(voxel, ndim) == count


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20", ObjectSize(20)),
        (" 20 ", ObjectSize(20, "voxels")),
        ("20.0", ObjectSize(20)),
        ("30um2", ObjectSize(30, "um2")),
        ("30 UM2", ObjectSize(30, "um2")),
        ("30\N{MICRO SIGN}m²", ObjectSize(30, "um2")),
        ("30 \N{GREEK SMALL LETTER MU}m²", ObjectSize(30, "um2")),
        ("30um^2", ObjectSize(30, "um2")),
        (".5um2", ObjectSize(0.5, "um2")),
        ("500um3", ObjectSize(500, "um3")),
        ("5e2µm³", ObjectSize(500, "um3")),
    ],
)
def test_these_texts_are_sizes(text: str, size: ObjectSize) -> None:
    assert KIND.parse(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "um2",
        "-3",
        "3um",
        "3um4",
        "3pm2",
        "30 um 2",
        "nan",
        "inf",
        "1e999",
        "2.5",
        "²",
        "٣",
        "1" * 5000,
    ],
)
def test_these_texts_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|whole number") as caught:
        KIND.parse(text)
    assert "\n" not in str(caught.value)
    with pytest.raises(OptionError, match=r"^smallest: "):
        KIND.check(text, "smallest")


@given(st.text())
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert KIND.parse(text).value >= 0


@pytest.mark.parametrize("value", [20, 20.0, np.int32(20), np.float32(20)])
def test_python_takes_numbers_as_voxels(value: Any) -> None:
    size = KIND.check(value, "smallest")
    assert (size, repr(size)) == (ObjectSize(20), "ObjectSize(value=20, unit='voxels')")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "smallest is None: give a size such as 20"),
        ((30, "um2"), r"smallest is \(30, 'um2'\): give a size such as 20"),
        (True, "smallest: size is True; give a number"),
        (2.5, r"smallest: size is 2\.5 voxels; give a whole number of voxels"),
        (-1, "smallest: size is -1; give 0 or more"),
        (float("nan"), "smallest: size is nan; give 0 or more"),
        (2**63, "smallest: size is 9223372036854775808; give 0 or more, and less than 2"),
    ],
)
def test_other_values_are_refused_in_one_line(value: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{message}"):
        KIND.check(value, "smallest")


@pytest.mark.parametrize(
    ("size", "voxel", "ndim", "message"),
    [
        ("30um2", (1, 1, 1), 3, "size 30um2 is in µm², and objects have 3 axes: .* µm³ \\(500um3"),
        ("30um3", (1, 1), 2, "size 30um3 is in µm³, and objects have 2 axes: .* µm² \\(30um2"),
        ("30um2", (1, 1), 1, "objects have 1 axes: give it in voxels"),
        (
            "30um2",
            None,
            2,
            "does not state the size of its voxels in micrometres: give the size in",
        ),
        ("30um3", (1, 1), 3, r"size of a voxel \(1\.0, 1\.0\) for objects of 3 axes: give 3 pos"),
        ("30um2", (0, 1), 2, r"size of a voxel \(0\.0, 1\.0\) for objects of 2 axes: give 2 pos"),
        ("30um2", (float("nan"), 1), 2, "give 2 positive numbers"),
        ("30um2", (1e-30, 1e-30), 2, r"size 30um2 is over 2\^62 voxels; give a smaller one"),
    ],
)
def test_a_size_that_does_not_fit_the_image_is_refused(
    size: str, voxel: Any, ndim: int, message: str
) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        KIND.parse(size).voxels(voxel, ndim)
    assert "\n" not in str(caught.value)


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(OptionError, match="unit of a size is 'acres'; give voxels, um2 or um3"):
        ObjectSize(3, "acres")  # type: ignore[arg-type]
