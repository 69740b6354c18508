"""The table of objects equals that of scikit-image, and does not depend on blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import regionprops_table
from support.labelled import GREY_TYPES, SHAPES, block_sums, grey_for, labelled

import bigunet
from bigunet.measuring.described import Described
from bigunet.measuring.table import table_of

PLACES = ("label", "area", "centroid", "bbox", "equivalent_diameter_area")
GREY = ("intensity_mean", "intensity_std", "intensity_min", "intensity_max")
SIZES = st.none() | st.tuples(*[st.floats(0.05, 20)] * 3)


def of_skimage(labels: np.ndarray, names: tuple[str, ...], **keywords: Any) -> dict[str, Any]:
    """Its table; ids are made dense first, because it makes a list as long as the greatest id."""
    ids, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape) + (0 if (ids[:1] == 0).all() else 1)
    table = regionprops_table(dense, properties=names, **keywords)
    return table | {"label": ids[ids != 0]}


def assert_close(ours: np.ndarray, theirs: np.ndarray, scale: np.ndarray | float = 0) -> None:
    """Within 1e-9 of the value, or of the scale that its own rounding has."""
    np.testing.assert_array_less(
        np.abs(ours - theirs), 1e-9 * np.maximum(np.abs(theirs), scale) + 1e-300
    )


@given(labelled(), SIZES)
def test_places_are_those_of_scikit_image(
    labels: np.ndarray, size: tuple[float, ...] | None
) -> None:
    if not labels.any():
        return
    spacing = None if size is None else size[: labels.ndim]
    ours = bigunet.measure(labels, voxel_size_um=spacing)
    theirs = of_skimage(labels, PLACES)
    for name, column in theirs.items():
        assert_close(ours[name], column)
        if name.split("-")[0] in ("label", "area", "bbox"):
            assert ours[name].dtype.kind in "iu"
            np.testing.assert_array_equal(ours[name], column)
    if spacing is not None:
        theirs = of_skimage(labels, PLACES, spacing=spacing)
        assert_close(ours["area_um2" if labels.ndim == 2 else "volume_um3"], theirs["area"])
        assert_close(ours["equivalent_diameter_area_um"], theirs["equivalent_diameter_area"])
        for axis in range(labels.ndim):
            assert_close(ours[f"centroid_um-{axis}"], theirs[f"centroid-{axis}"])


@given(labelled(), SIZES)
def test_axes_are_those_of_scikit_image(labels: np.ndarray, size: tuple[float, ...] | None) -> None:
    if not labels.any():
        return
    unit, spacing = ("", None) if size is None else ("_um", size[: labels.ndim])
    ours = bigunet.measure(labels, voxel_size_um=spacing)
    lengths = ("axis_major_length", "axis_minor_length")
    theirs = of_skimage(labels, (*lengths, "inertia_tensor_eigvals"), spacing=spacing)
    longest = theirs["axis_major_length"]
    assert_close(ours[f"axis_major_length{unit}"], longest)
    # A thin axis is the root of what is left of the long one: its square has the rounding of that.
    assert_close(
        ours[f"axis_minor_length{unit}"] ** 2, theirs["axis_minor_length"] ** 2, longest**2
    )
    if labels.ndim == 3:
        values = [theirs[f"inertia_tensor_eigvals-{k}"] for k in range(3)]
        middle = 10 * (values[0] - values[1] + values[2])
        assert_close(ours[f"axis_middle_length{unit}"] ** 2, middle, longest**2)


@given(labelled(tuple(s for s in SHAPES if len(s) == 2)), SIZES)
def test_ellipses_are_those_of_scikit_image(
    labels: np.ndarray, size: tuple[float, ...] | None
) -> None:
    if not labels.any():
        return
    spacing = None if size is None else size[:2]
    ours = bigunet.measure(labels, voxel_size_um=spacing)
    theirs = of_skimage(labels, ("eccentricity", "orientation"), spacing=spacing)
    # Near a circle, the root makes much of the rounding of its argument.
    assert_close(ours["eccentricity"] ** 2, theirs["eccentricity"] ** 2, 1)
    # A direction is that of a line: half a turn more is the same. A circle has none.
    long = ours["eccentricity"] > 1e-2
    apart = np.sin(ours["orientation"] - theirs["orientation"])
    assert_close(apart[long], np.zeros(int(long.sum())), 1)


@given(labelled(), st.sampled_from(GREY_TYPES), st.sampled_from((0, 1, 2)))
def test_grey_values_are_those_of_scikit_image(
    labels: np.ndarray, dtype: str, channels: int
) -> None:
    if not labels.any():
        return
    grey = grey_for(labels, dtype, max(1, channels), seed=labels.size)
    # Its mean of float32 is rounded to float32: it gets the same values as float64.
    last = np.moveaxis(grey.astype(np.float64), 0, -1)
    theirs = of_skimage(labels, GREY, intensity_image=last if channels else last[..., 0])
    ours = bigunet.measure(labels, grey if channels else grey[0])
    for name, column in theirs.items():
        # What it adds up may cancel: its rounding is that of the greatest value.
        scale = float(np.abs(grey.astype(np.float64)).max())
        assert_close(ours[name], column, scale if name != "label" else 0)
        if "min" in name or "max" in name:
            assert ours[name].dtype == grey.dtype.newbyteorder("=")
            np.testing.assert_array_equal(ours[name], column)


@given(labelled(), st.sampled_from((*GREY_TYPES, "f8")), st.data())
def test_tables_do_not_depend_on_blocks(
    labels: np.ndarray, dtype: str, data: st.DataObject
) -> None:
    grey = grey_for(labels, dtype, 2, seed=labels.size)
    shape = tuple(data.draw(st.integers(max(1, n // 3), n + 2)) for n in labels.shape)
    whole = bigunet.measure(labels, grey, voxel_size_um=0.3)
    blocks = bigunet.measure(labels, grey, voxel_size_um=0.3, block_shape=shape)
    assert list(blocks) == list(whole)
    for name, column in whole.items():
        assert column.dtype == blocks[name].dtype
        assert column.tobytes() == blocks[name].tobytes()


def test_values_of_rows_do_not_depend_on_the_rows_beside_them() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 50, (12, 14, 16))
    whole = table_of(block_sums(labels, None, (0, 0, 0)), Described(labels.shape))
    part = table_of(block_sums(labels, None, (0, 0, 0)).rows(slice(7, 31)), Described(labels.shape))
    assert all(part[name].tobytes() == whole[name][7:31].tobytes() for name in whole)


def test_a_mean_and_a_deviation_of_large_values_that_differ_little_are_exact() -> None:
    labels = np.ones((1, 2), int)
    table = bigunet.measure(labels, np.array([[2**62, 2**62 + 2]]))
    assert table["intensity_mean"].tolist() == [2.0**62]
    assert table["intensity_std"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ((1, np.nan), np.nan),
        ((1, np.inf), np.inf),
        ((-np.inf, 1), -np.inf),
        ((-np.inf, np.inf), np.nan),
    ],
)
def test_values_that_are_not_finite_give_what_numpy_gives(
    values: tuple[float, float], mean: float
) -> None:
    table = bigunet.measure(np.array([[1, 1, 2]]), np.array([[*values, 5]], np.float32))
    np.testing.assert_array_equal(table["intensity_mean"], [mean, 5])
    np.testing.assert_array_equal(table["intensity_std"], [np.nan, 0])


def test_an_image_without_objects_has_a_table_of_no_rows() -> None:
    empty = bigunet.measure(np.zeros((0, 4), int), np.zeros((1, 0, 4)), voxel_size_um=1)
    none = bigunet.measure(np.zeros((3, 4), int), np.zeros((1, 3, 4)), voxel_size_um=1)
    assert list(empty) == list(none)
    assert {len(column) for table in (empty, none) for column in table.values()} == {0}


def test_arrays_need_only_slice() -> None:
    class Stored:
        """An array that gives boxes and nothing else."""

        def __init__(self, values: np.ndarray) -> None:
            self.shape, self._values = values.shape, values

        def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
            return self._values[where]

    labels = np.random.default_rng(0).integers(0, 5, (9, 10))
    whole = bigunet.measure(labels, labels[None])
    stored = bigunet.measure(Stored(labels), Stored(labels[None]), block_shape=(4, 4))
    assert all((stored[name] == whole[name]).all() for name in whole)


LABELS = np.ones((2, 3), int)


@pytest.mark.parametrize(
    ("labels", "image", "options", "reason"),
    [
        (LABELS[0], None, {}, "labels have 1 axes of space; give 2 or 3, and name those before"),
        (LABELS * 1.0, None, {}, "labels are float64; give whole numbers"),
        (LABELS, LABELS.T, {}, r"the image is \(3, 2\), the labels \(2, 3\)"),
        (LABELS, LABELS * 1j, {}, "grey values are complex128"),
        (LABELS, None, {"voxel_size_um": (1, 1, 1)}, "a voxel has 3 sizes, the labels 2 axes"),
        (LABELS, None, {"voxel_size_um": 0}, "give micrometres above 0"),
        (LABELS, None, {"block_shape": (4,)}, r"block_shape is \(4,\); give 2 numbers"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    labels: np.ndarray, image: np.ndarray | None, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(bigunet.BigUNetError, match=reason):
        bigunet.measure(labels, image, **options)


@given(labelled(tuple(shape for shape in SHAPES if len(shape) == 3)))
def test_frames_are_measured_as_single_images(labels: np.ndarray) -> None:
    table = bigunet.measure(labels, labels, frames=1)
    for frame, single in enumerate(labels):
        rows = table["frame"] == frame if len(labels) > 1 else np.ones(len(table["label"]), bool)
        for name, column in bigunet.measure(single, single).items():
            assert table[name][rows].tobytes() == column.tobytes()
