"""The grey rule on arrays of every kind: its ends lie within the voxels, and it never fails."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from bigunet.errors import OptionError
from bigunet.grey.range_rule import GreyValues, grey_values

LAW = settings(deadline=None, suppress_health_check=list(HealthCheck))
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
EXTREMES = (
    1e38, -1e38, 1e300, -1e300, 5e-324, 1e-45, 6e-8, 65504.0, math.inf, -math.inf, math.nan,
    -9999.0, 0.0, -0.0, 1.0,
)  # fmt: skip


@st.composite
def images(draw: Any, dtypes: tuple[str, ...] = (*FLOATS, *INTEGERS, "bool")) -> np.ndarray:
    """Noise, spots, ramps and constants over the whole range of a dtype, with some odd voxels."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    sides = st.integers(1, 70)
    shape = draw(st.tuples(sides, sides) | st.tuples(st.integers(1, 3), sides, sides))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    unit = {
        "noise": lambda: random.normal(0.5, 0.1, shape).clip(0, 1),
        "flat": lambda: np.full(shape, 0.25),
        "spots": lambda: (random.random(shape) > 0.97) * 1.0,
        "ramp": lambda: np.linspace(0, 1, math.prod(shape)).reshape(shape),
        "half": lambda: np.where(np.arange(shape[-1]) * 2 < shape[-1], random.random(shape), 0.0),
    }[draw(st.sampled_from(["noise", "flat", "spots", "ramp", "half"]))]()
    if dtype.kind == "b":
        return np.asarray(unit > 0.5)
    low, high = draw(st.sampled_from(_ranges(dtype)))
    if dtype.kind in "iu":
        scaled = np.rint(unit * 2**20).astype(np.int64).astype(object) * (high - low) // 2**20 + low
        voxels = scaled.astype(dtype)
    else:
        # The difference of the extreme float64 values is not a float64.
        voxels = (unit * high + (1 - unit) * low).astype(dtype)
    for value in draw(st.lists(st.sampled_from(EXTREMES), max_size=3)):
        share = draw(st.sampled_from([0.002, 0.05, 0.4]))
        if dtype.kind == "f" or np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            with np.errstate(over="ignore"):
                voxels[random.random(shape) < share] = np.asarray(value).astype(dtype)
    return voxels


def _ranges(dtype: np.dtype) -> list[tuple[Any, Any]]:
    if dtype.kind == "f":
        most = float(np.finfo(dtype).max)
        tiny = float(np.finfo(dtype).smallest_subnormal)
        return [(0.0, 1.0), (-5.0, 200.0), (-most, most), (0.0, 9 * tiny), (most / 2, most)]
    ends = np.iinfo(dtype)
    return [(ends.min, ends.max), (ends.max - 9, ends.max), (ends.min, ends.min + 9), (0, 100)]


quantiles = st.lists(
    st.sampled_from([0, 0.1, 1, 2, 50, 98, 99.8, 100]) | st.floats(0, 100), min_size=1, max_size=6
)


def rule(voxels: np.ndarray, wished: Any, wanted: np.ndarray | None = None) -> GreyValues | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return grey_values([voxels], wished, masks=[wanted])


@LAW
@given(voxels=images(), wished=quantiles, part=st.sampled_from([None, 0.0, 0.3, 1.0]))
def test_every_end_lies_within_the_finite_voxels_of_the_part(
    voxels: np.ndarray, wished: list[float], part: float | None
) -> None:
    random = np.random.default_rng(1)
    chosen = None if part is None else random.random(voxels.shape) < part
    before = voxels.copy()
    values = rule(voxels, wished, chosen)
    np.testing.assert_array_equal(voxels, before)
    counted = np.isfinite(voxels) & (True if chosen is None else chosen)
    if not counted.any():
        assert values is None
        return
    assert values is not None
    least, greatest = voxels[counted].min().item(), voxels[counted].max().item()
    event("outliers" if values.outliers else "padding" if values.padding else "plain")
    known = [v for v in (values.least, values.greatest) if v is not None]
    for value in (*values.values, *known, *values.padding):
        assert least <= value <= greatest
        assert type(value) is type(least)
    order = np.argsort(wished, kind="stable")
    assert list(np.array(values.values, object)[order]) == sorted(values.values)
    assert 0 <= values.left_out <= 1


@LAW
@given(
    voxels=images(("uint8", "int16", "uint16")), wished=st.just((1, 99.8)), add=st.integers(1, 999)
)
def test_adding_a_number_to_all_voxels_adds_it_to_the_ends(
    voxels: np.ndarray, wished: tuple[float, float], add: int
) -> None:
    # One value below 0 among values above 0 would be padding.
    assume(voxels.min() >= 0)
    values, moved = rule(voxels, wished), rule(voxels.astype(np.int64) + add, wished)
    assert values is not None
    assert moved is not None
    assert moved.values == tuple(v + add for v in values.values)
    far = rule(voxels.astype(np.int64) + 2**60 + add, wished)
    assert far is not None
    assert far.values == tuple(v + 2**60 + add for v in values.values)


@LAW
@given(voxels=images(("uint8", "uint16", "float32")), power=st.integers(-20, 20))
def test_scaling_all_voxels_scales_the_ends(voxels: np.ndarray, power: int) -> None:
    sizes = np.abs(voxels[np.isfinite(voxels)].astype(np.float64))
    # Differences are float32, which rounds the smallest numbers in another way.
    assume(sizes.max(initial=0) < 1e20 and sizes[sizes > 0].min(initial=1) > 1e-20)
    wide = voxels.astype(np.float64)
    values, scaled = rule(wide, (1, 99.8)), rule(wide * 2.0**power, (1, 99.8))
    assume(values is not None)
    assert values is not None
    assert scaled is not None
    assert scaled.values == tuple(v * 2.0**power for v in values.values)


@pytest.mark.parametrize("wished", [(-1,), (1, 100.1), (math.nan,), (math.inf, 1)])
def test_numbers_that_are_no_percentages_are_refused(wished: tuple[float, ...]) -> None:
    with pytest.raises(OptionError, match="percentages from 0 to 100"):
        rule(np.zeros((4, 4)), wished)
