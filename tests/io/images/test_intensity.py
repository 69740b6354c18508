"""Laws of percentiles: exact where an image is small, and the same however it is stored."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bigunet.errors import ImageError, OptionError
from bigunet.geometry import Box
from bigunet.grey.range_rule import GreyValues, grey_values
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.intensity import Intensity, percentiles
from bigunet.io.images.multiscale import Multiscale

DTYPES = ("bool", "uint8", "int8", "uint16", ">i2", "int32", "uint64", "float16", "float32")


def stored(
    path: Path, *levels: np.ndarray, axes: str = "cyx", chunks: object = "auto"
) -> Multiscale:
    """An OME-Zarr 0.4 image with these levels."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    for k, voxels in enumerate(levels):
        array = group.create_array(str(k), shape=voxels.shape, dtype=voxels.dtype, chunks=chunks)
        array[...] = voxels
    datasets = [{"path": str(k)} for k in range(len(levels))]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": list(axes), "datasets": datasets}]
    return open_multiscale(path)


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    low = 0 if dtype.kind in "bu" else -100
    values = st.booleans() if dtype.kind == "b" else st.integers(low, 100)
    return draw(hnp.arrays(dtype, shape, elements=values))


QUANTILES = st.lists(st.floats(0, 100) | st.integers(0, 100), max_size=5)


@settings(deadline=None)
@given(voxels=images(), quantiles=QUANTILES, side=st.integers(1, 6))
def test_percentiles_are_those_of_each_channel_however_it_is_stored(
    tmp_path_factory: pytest.TempPathFactory, voxels: np.ndarray, quantiles: list, side: int
) -> None:
    image = stored(tmp_path_factory.mktemp("i"), voxels, chunks=(1, side, side))
    channels = tuple(reversed(range(len(voxels))))
    measured = percentiles(image, quantiles, channels=channels)
    expected = [grey_values([voxels[k].astype(voxels.dtype.name)], quantiles) for k in channels]
    assert not measured.sampled
    assert measured.level == 0
    assert list(measured.channels) == expected


@pytest.mark.parametrize("slab_voxels", [1, 40, 300])
def test_percentiles_do_not_depend_on_how_much_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slab_voxels: int
) -> None:
    voxels = np.random.default_rng(2).normal(size=(2, 17, 23)).astype(np.float32)
    image = stored(tmp_path / "i", voxels, chunks=(2, 4, 5))
    expected = percentiles(image, (5, 50, 99), channels=(1, 0))
    monkeypatch.setattr("bigunet.io.images.grey_voxels._SLAB_VOXELS", slab_voxels)
    assert percentiles(image, (5, 50, 99), channels=(1, 0)) == expected


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    voxels = np.array([[np.nan, 1, 2, np.inf], [3, -np.inf, 4, np.nan]], np.float32)
    image = stored(tmp_path / "i", voxels, axes="yx")
    assert percentiles(image, (0, 50, 100), channels=(0,)).values == ((1.0, 2.0, 4.0),)


def test_a_channel_with_nothing_finite_is_refused(tmp_path: Path) -> None:
    voxels = np.stack([np.ones((4, 4)), np.full((4, 4), np.nan)])
    image = stored(tmp_path / "i", voxels)
    with pytest.raises(ImageError, match=r"channel 1 of .* has no finite voxel"):
        percentiles(image, (50,), channels=(0, 1))


@pytest.mark.parametrize(
    ("max_voxels", "level", "sampled"),
    [
        (1000, 0, False),
        (256, 0, False),  # exactly as many
        (255, 1, False),  # the largest that fits
        (20, 2, False),
        (15, 2, True),  # none fits: a part of the smallest
    ],
)
def test_the_largest_level_that_fits_is_measured(
    tmp_path: Path, max_voxels: int, level: int, sampled: bool
) -> None:
    levels = [np.full((16 >> k, 16 >> k), k, np.uint8) for k in range(3)]
    image = stored(tmp_path / "i", *levels, axes="yx", chunks=(2, 2))
    measured = percentiles(image, (50,), channels=(0,), max_voxels=max_voxels)
    assert measured == Intensity(level, sampled, (GreyValues((level,)),))


def test_a_level_of_another_dtype_is_passed_over(tmp_path: Path) -> None:
    levels = [np.full((8, 8), 7, np.uint16), np.full((4, 4), 9, np.uint8)]
    image = stored(tmp_path / "i", *levels, axes="yx", chunks=(2, 2))
    measured = percentiles(image, (50,), channels=(0,), max_voxels=16)
    assert measured == Intensity(0, True, (GreyValues((7,)),))


@given(side=st.integers(150, 200), chunk=st.integers(5, 12), budget=st.integers(1, 12000))
@example(side=70, chunk=1, budget=40)
@settings(max_examples=10, deadline=None)
def test_a_sample_holds_at_most_the_voxels_asked_for_or_one_chunk(
    tmp_path_factory: pytest.TempPathFactory, side: int, chunk: int, budget: int
) -> None:
    names = np.arange(side * side, dtype=np.float32).reshape(side, side)  # each voxel once
    image = stored(tmp_path_factory.mktemp("i"), names, axes="yx", chunks=(chunk, chunk))
    measured = percentiles(image, np.linspace(0, 100, 1001), channels=(0,), max_voxels=budget)
    assert measured.sampled
    assert 1 <= len(set(measured.values[0])) <= max(budget, (63 + chunk) ** 2)


@pytest.mark.parametrize("along", [0, 1])
def test_a_sample_is_spread_along_every_axis(tmp_path: Path, along: int) -> None:
    gradient = np.indices((1024, 1024))[along].astype(np.uint16)
    image = stored(tmp_path / "i", gradient, axes="yx", chunks=(64, 64))
    measured = percentiles(image, (1, 25, 50, 75, 99), channels=(0,), max_voxels=2**18)
    assert measured.sampled
    np.testing.assert_allclose(measured.values[0], (10, 256, 512, 768, 1013), atol=64)


def test_a_sample_is_the_same_each_time(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).normal(size=(2, 64, 64))
    image = stored(tmp_path / "i", voxels, chunks=(2, 8, 8))
    first, second = (
        percentiles(image, (10, 90), channels=(0, 1), max_voxels=500) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("quantile", [-1, 100.5, float("nan")])
def test_a_quantile_out_of_range_is_refused(tmp_path: Path, quantile: float) -> None:
    image = stored(tmp_path / "i", np.ones((4, 4), np.uint8), axes="yx")
    with pytest.raises(OptionError, match="not all percentages from 0 to 100"):
        percentiles(image, (quantile,), channels=(0,))


def test_a_limit_of_no_voxels_is_refused(tmp_path: Path) -> None:
    image = stored(tmp_path / "i", np.ones((4, 4), np.uint8), axes="yx")
    with pytest.raises(OptionError, match="max_voxels is 0"):
        percentiles(image, (50,), channels=(0,), max_voxels=0)


def test_a_region_is_measured_on_the_level_that_fits_it(tmp_path: Path) -> None:
    fine = np.indices((64, 64))[1].astype(np.uint16)
    image = stored(tmp_path / "i", fine, fine[::2, ::2], axes="yx", chunks=(8, 8))
    measured = percentiles(
        image, (0, 100), channels=(0,), region=(1, Box((4, 8), (20, 24))), max_voxels=1024
    )
    assert (measured.level, measured.values) == (0, ((16, 47),))  # columns 16 to 47 of level 0
    measured = percentiles(
        image, (0, 100), channels=(0,), region=(0, Box((0, 16), (64, 48))), max_voxels=512
    )
    assert (measured.level, measured.values) == (1, ((16, 46),))


def test_only_chosen_voxels_count(tmp_path: Path) -> None:
    voxels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    image = stored(tmp_path / "i", voxels, axes="yx", chunks=(16, 16))

    class TopRows:
        def read(self, box: Box) -> np.ndarray:
            return np.broadcast_to(np.arange(box.start[0], box.stop[0])[:, None] < 2, box.shape)

    for budget in (64 * 64, 32 * 64):  # all of it, and a sample
        measured = percentiles(
            image, (0, 100), channels=(0,), chosen=lambda level: TopRows(), max_voxels=budget
        )
        assert 0 <= measured.values[0][0] <= measured.values[0][1] < 128


@pytest.mark.parametrize("absent", [True, False])
def test_a_sample_is_taken_where_there_is_something(tmp_path: Path, absent: bool) -> None:
    """One chunk of 256 holds an object; the others are empty, stored or not."""
    voxels = np.zeros((128, 128), np.uint16)
    voxels[80:88, 40:48] = np.arange(64).reshape(8, 8) + 1000
    group = zarr.open_group(str(tmp_path / "i"), mode="w", zarr_format=2)
    config = {"write_empty_chunks": not absent}
    array = group.create_array("0", shape=(128, 128), dtype="u2", chunks=(8, 8), config=config)
    array[...] = voxels
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": ["y", "x"], "datasets": [{"path": "0"}]}
    ]
    measured = percentiles(open_multiscale(tmp_path / "i"), (1, 99), channels=(0,), max_voxels=1024)
    assert measured.sampled
    # The object, and the background in its cells.
    ((low, high),) = measured.values
    assert low == 0
    assert 1050 < high <= 1063


@pytest.mark.parametrize("chunks", [(16, 16), (1024, 1), (1, 1024), (256, 256)])
def test_chunks_of_any_shape_leave_whole_cells_in_a_sample(tmp_path: Path, chunks: tuple) -> None:
    rng = np.random.default_rng(0)
    voxels = rng.integers(50, 90, (1024, 1024)).astype(np.uint16)
    voxels[:, :512] = 0
    image = stored(tmp_path / "i", voxels, axes="yx", chunks=chunks)
    measured = percentiles(image, (1, 99.8), channels=(0,), max_voxels=2**18)
    assert measured.sampled
    assert measured.values == ((50, 89),)


def test_the_level_that_is_segmented_decides_about_the_type(tmp_path: Path) -> None:
    fine = np.tile(np.arange(64, dtype=np.uint16) * 64, (64, 1))
    coarse = (fine[::2, ::2] // 16).astype(np.uint8)
    image = stored(tmp_path / "i", fine, coarse, axes="yx")
    measured = percentiles(image, (0, 100), channels=(0,), region=(1, Box((0, 0), (32, 32))))
    assert (measured.level, measured.values) == (1, ((0, 248),))


def test_chunks_of_nan_are_passed_over_in_a_sample(tmp_path: Path) -> None:
    voxels = np.tile(np.arange(512, dtype=np.float32), (512, 1))
    voxels[:, :400] = np.nan
    image = stored(tmp_path / "i", voxels, axes="yx", chunks=(16, 16))
    measured = percentiles(image, (0, 100), channels=(0,), max_voxels=4096)
    assert 400 <= measured.values[0][0] < measured.values[0][1] < 512
