"""Regions in lengths: which voxels are inside, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import bigunet
from bigunet import SegmentOptions
from bigunet.errors import OptionError
from bigunet.io.images.multiscale import Axis, ImageDescription, Level
from bigunet.options.lengths import Length
from bigunet.segmentation.plan.region import region_in_voxels

THOUSANDTHS = st.integers(0, 10**5)


def image_of(
    *scale: float, unit: str | None = "micrometer", shift: float = 0.0, size: int = 10**6
) -> ImageDescription:
    """An image with the last axes of z, y, x."""
    names = "zyx"[-len(scale) :]
    axes = tuple(Axis(name, "space", unit) for name in names)
    shape = (size,) * len(scale)
    level = Level("0", shape, shape, None, "uint8", scale, (shift,) * len(scale))
    return ImageDescription("in.zarr", "in", axes, (level,), ("",), False)


def voxels(image: ImageDescription, start: Any, stop: Any) -> range:
    made = SegmentOptions(roi={"x": (start, stop)})
    return range(*region_in_voxels(image, 0, made.roi)["x"])


@given(THOUSANDTHS, THOUSANDTHS, st.integers(50, 5000))
def test_a_voxel_is_inside_if_its_centre_is(start: int, stop: int, voxel: int) -> None:
    assume(start < stop)
    image = image_of(1.0, voxel / 1000)
    centres = {k: (k + Fraction(1, 2)) * voxel for k in range(stop // voxel + 2)}
    inside = [k for k, centre in centres.items() if start <= centre < stop]
    if inside:
        assert list(voxels(image, f"{start}nm", f"{stop / 1000}um")) == inside
    else:
        with pytest.raises(OptionError, match="no voxel has its centre there, as a voxel has"):
            voxels(image, f"{start}nm", f"{stop / 1000}um")


@given(st.lists(THOUSANDTHS, min_size=2, max_size=6, unique=True), st.integers(1, 99))
def test_regions_that_meet_share_no_voxel_and_leave_none_out(cuts: list[int], voxel: int) -> None:
    image = image_of(1.0, voxel / 1000)
    cuts = sorted(cuts)
    assume(all(b - a >= voxel for a, b in pairwise(cuts)))
    parts = [voxels(image, f"{a}nm", f"{b}nm") for a, b in pairwise(cuts)]
    together = [k for part in parts for k in part]
    assert together == list(voxels(image, f"{cuts[0]}nm", f"{cuts[-1]}nm"))


@given(st.integers(0, 10**4), st.integers(1, 10**4), st.integers(1, 10**4))
def test_whole_voxels_are_taken_as_such(start: int, count: int, hundredths: int) -> None:
    image = image_of(1.0, hundredths / 100)
    ends = [f"{n * hundredths * 10}nm" for n in (start, start + count)]
    assert voxels(image, *ends) == range(start, start + count)


def test_each_axis_has_its_own_unit_and_size_of_a_voxel() -> None:
    image = image_of(2.0, 0.5, 250.0, unit="nanometer")
    roi = SegmentOptions(roi={"z": (3, 7), "y": ("1nm", "4nm"), "x": (0, Length(1))}).roi
    assert region_in_voxels(image, 0, roi) == {"z": (3, 7), "y": (2, 8), "x": (0, 4)}


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (image_of(1.0, 1.0, unit=None), "in.zarr does not state the size of its voxels along x"),
        (image_of(1.0, 1.0, unit="pixel"), "give voxels, such as x=0:512"),
        (image_of(1.0, 0.0), "does not state the size of its voxels along x"),
        (image_of(1.0, 1.0, shift=900.0), "begins at x = 900 micrometer, so it is not clear"),
        (image_of(1.0, 1e9), "no voxel has its centre there, as a voxel has 1e"),
    ],
)
def test_lengths_without_a_clear_meaning_are_refused(image: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^roi x=10um:20um: .*{message}"):
        voxels(image, "10um", "20um")
    assert voxels(image, 10, 20) == range(10, 20)


@pytest.mark.parametrize(
    ("ends", "message"),
    [(("20um", "10um"), "roi x=20um:10um: give 0 <= START"), ((0, "0um"), "give 0 <= START")],
)
def test_an_empty_region_is_refused(ends: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SegmentOptions(roi={"x": ends})


def test_a_plan_in_lengths_is_that_in_voxels(
    tmp_path: Path, tiny_model: Path, write_image: Any
) -> None:
    path = tmp_path / "in.zarr"
    write_image(path, "tyx", metadata={"scale": [1, 0.5, 0.25]})
    plans = [
        bigunet.plan(path, model=tiny_model, roi=roi)
        for roi in ({"y": (10, 60), "x": (8, 48)}, {"y": ("5um", "30um"), "x": ("2um", "0.012mm")})
    ]
    assert plans[0].to_dict() == plans[1].to_dict()
    assert plans[0].options == plans[1].options
    with pytest.raises(OptionError, match=r"roi t=1um:2um: .* state the size of its voxels along"):
        bigunet.plan(path, model=tiny_model, roi={"t": ("1um", "2um")})
    with pytest.raises(OptionError, match=r"roi x=0:71: the level has 70 voxels there \(17.5 µm\)"):
        bigunet.plan(path, model=tiny_model, roi={"x": (0, 71)})
