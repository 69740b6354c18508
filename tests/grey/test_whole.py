"""Laws of the statistics of a whole image: numpy's, however the voxels are cut into parts."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bigunet.grey.whole import Moments, percentiles_of

_DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "?"]


@st.composite
def voxels_in_parts(draw: st.DrawFn) -> list[np.ndarray]:
    dtype = np.dtype(draw(st.sampled_from(_DTYPES)))
    floats = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    if dtype == "f8":
        floats |= {"min_value": -1e100, "max_value": 1e100}
    voxels = draw(arrays.arrays(dtype, st.integers(1, 40), elements=floats or None))
    cuts = draw(st.lists(st.integers(0, len(voxels)), max_size=4))
    return np.split(voxels, sorted(cuts))


def _passes(parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    yield from parts


@given(voxels_in_parts(), st.lists(st.floats(0, 100), min_size=1, max_size=3))
def test_percentiles_are_those_of_all_voxels(parts, percents) -> None:
    whole = np.concatenate(parts).astype(np.float64)
    measured = percentiles_of(lambda: _passes(parts), percents)
    assert list(measured) == np.percentile(whole, percents).tolist()


@given(voxels_in_parts())
def test_mean_and_deviation_are_those_of_all_voxels(parts) -> None:
    whole = np.concatenate(parts).astype(np.float64)
    moments = sum(map(Moments.of, parts), Moments())
    span = max(np.abs(whole).max(), 1e-300)
    np.testing.assert_allclose(moments.mean / span, whole.mean() / span, atol=1e-12)
    np.testing.assert_allclose(moments.deviation / span, whole.std() / span, atol=1e-9)
    assert moments.count == whole.size


@pytest.mark.parametrize("parts", [[], [np.empty(0, np.uint16)]], ids=["no part", "empty part"])
def test_no_voxels_have_no_percentiles(parts) -> None:
    assert percentiles_of(lambda: _passes(parts), (1, 99)) == ()
    assert Moments.of(np.empty(0)).deviation == 0
