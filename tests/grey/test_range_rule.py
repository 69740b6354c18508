"""The grey range lies among the objects, whatever else is in the image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bigunet.grey.cells import Piece
from bigunet.grey.contrast import noise
from bigunet.grey.exact_differences import subtract
from bigunet.grey.range_rule import grey_values

RANGE = (1, 99.8)


def nuclei(side: int = 256, *, number: int = 40, seed: int = 0) -> np.ndarray:
    """Blurred discs of 80 on a background of 10 with noise, as in a fluorescence image."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image = np.full((side, side), 10.0)
    for cy, cx in rng.integers(0, side, (number, 2)):
        image = np.maximum(image, 80 * np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / 60.0) ** 2)))
    return (image + rng.normal(0, 2, image.shape)).round()


def plain(image: np.ndarray, quantiles: tuple = RANGE) -> tuple:
    return tuple(np.percentile(image, quantiles, method="inverted_cdf"))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
def test_an_image_without_padding_and_outliers_keeps_its_percentiles(dtype: str) -> None:
    image = nuclei().astype(dtype)
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert grey.values == plain(image)
    assert (grey.left_out, grey.outliers, grey.padding) == (0, False, ())


def test_one_nucleus_on_exact_zeros_sets_the_range() -> None:
    image = np.zeros((1024, 1024), np.uint16)
    y, x = np.mgrid[-12:13, -12:13]
    image[288:313, 388:413] = np.where(x**2 + y**2 < 144, 20000 - 30 * (x**2 + y**2), 0)
    assert plain(image) == (0, 0)
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert grey.values[0] == 0  # the background around the nucleus counts
    assert 19_000 < grey.values[1] <= 20_000


@pytest.mark.parametrize("value", [-9999, -1, 0, 65_000], ids="no data is {}".format)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("hot", [False, True])
def test_a_strip_without_data_does_not_change_the_range(dtype: str, value: int, hot: bool) -> None:
    image = nuclei().astype(dtype) + 100
    if hot:
        image[200, 200] = 40_000
    expected = grey_values([image[:, 103:]], RANGE)
    image[:, :103] = value  # no whole number of cells
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert expected is not None
    assert grey.values == expected.values
    assert grey.padding == (value,)
    assert grey.left_out == pytest.approx(103 / 256, abs=1e-3)


def test_objects_cut_out_on_a_negative_value_keep_their_own_range() -> None:
    """Every cell holds the value -9999, which masks the background; it is padding all the same."""
    image = nuclei()
    image[image < 40] = -9999
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert grey.values == plain(image[image >= 0])
    assert grey.padding == (-9999,)


def test_the_background_of_large_objects_is_no_padding() -> None:
    """Discs of 50 voxels on a background of 0: most of their voxels lie in cells without 0."""
    y, x = np.mgrid[:1024, :1024]
    image = np.zeros((1024, 1024))
    for cy, cx in np.random.default_rng(0).integers(0, 1024, (40, 2)):
        image = np.maximum(image, 900 * np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / 50**2) ** 4)))
    image *= np.random.default_rng(1).normal(1, 0.1, image.shape)
    image[image < 100] = 0
    grey = grey_values([image.astype(np.uint16)], RANGE)
    assert grey is not None
    assert (grey.padding, grey.values[0]) == ((), 0)


def dim(amplitude: float, deviation: float) -> np.ndarray:
    """Discs that are hardly stronger than the noise, so that a single voxel does not show them."""
    rng = np.random.default_rng(0)
    # Further than 60 pixels from its middle, a disc is below a millionth of the noise.
    y, x = np.mgrid[-60:61, -60:61]
    disc = amplitude * np.exp(-(y**2 + x**2) / 150)
    image = np.zeros((1144, 1144))
    for cy, cx in rng.integers(0, 1024, (300, 2)):
        window = image[cy : cy + 121, cx : cx + 121]
        np.maximum(window, disc, out=window)
    return image[60:-60, 60:-60] + 100 + rng.normal(0, deviation, (1024, 1024))


@pytest.mark.parametrize(("side", "amount"), [(6, 2000), (6, 200), (2, 2000)])
@pytest.mark.parametrize("deviation", [9, 10, 11])
def test_dust_on_weak_objects_does_not_set_the_range(
    side: int, amount: int, deviation: int
) -> None:
    image = dim(30, deviation)
    expected = plain(image)
    image[500 : 500 + side, 500 : 500 + side] += amount
    grey = grey_values([image], RANGE)
    assert grey is not None
    np.testing.assert_allclose(grey.values, expected, atol=3)


def test_single_voxels_may_be_objects_on_a_level_coarser_than_that_of_the_network() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, (512, 512))
    image.ravel()[rng.choice(image.size, round(0.003 * image.size), replace=False)] = 1000
    same, coarser = (grey_values([image], RANGE, specks=specks) for specks in (True, False))
    assert same is not None
    assert coarser is not None
    assert same.values[1] < 130
    assert (coarser.values[1], coarser.greatest) == (1000, None)


def test_an_edge_row_of_one_value_in_each_plane_does_not_hide_the_noise() -> None:
    stack = np.random.default_rng(0).normal(100, 5, (600, 64, 64))
    stack[:, 0] = 0
    assert noise([Piece(stack, None)]) == pytest.approx(5, rel=0.05)


def test_further_quantiles_do_not_change_the_range() -> None:
    image = nuclei(768, number=1, seed=3)
    alone = grey_values([image], (5, 95))
    beside = grey_values([image], (5, 95), others=(1, 50, 99.8))
    assert alone is not None
    assert beside is not None
    assert alone.values == beside.values
    assert beside.others == plain(image, (1, 50, 99.8))


def test_saturated_objects_are_no_padding() -> None:
    image = np.minimum(nuclei() * 6, 255).astype(np.uint8)
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert grey.padding == ()
    assert grey.values[1] == 255


def hot_pixels(image: np.ndarray, value: float) -> np.ndarray:
    chosen = np.random.default_rng(1).choice(image.size, round(0.003 * image.size), replace=False)
    image.ravel()[chosen] = value
    return image


def hot_square(image: np.ndarray, value: float) -> np.ndarray:
    image[100:114, 60:74] = value
    return image


def hot_discs(image: np.ndarray, value: float) -> np.ndarray:
    y, x = np.mgrid[:256, :256]
    for cy, cx in ((30, 40), (120, 200), (220, 90)):
        # The discs differ in brightness, as debris does.
        image[(y - cy) ** 2 + (x - cx) ** 2 < 21] = value * (1 + cy / 2000)
    return image


@pytest.mark.parametrize("spoil", [hot_pixels, hot_square, hot_discs])
@pytest.mark.parametrize("value", [250, 4095, 65_000])
@pytest.mark.parametrize("turned", [False, True], ids=["hot", "dead"])
def test_few_hot_or_dead_voxels_do_not_set_the_range(spoil, value: float, turned: bool) -> None:
    clean = nuclei()
    # 0.3 % of dead voxels would not reach percentile 1, so the lower end is percentile 0.2.
    quantiles = (0.2, 99) if turned else RANGE
    spoilt, sign = spoil(clean.copy(), value), -1 if turned else 1
    grey = grey_values([sign * spoilt], quantiles)
    assert grey is not None
    expected = np.array(plain(sign * clean, quantiles))
    span = expected[1] - expected[0]
    assert grey.outliers
    np.testing.assert_allclose(grey.values, expected, atol=0.1 * span)
    least = grey.least if turned else grey.greatest
    assert least is not None
    assert abs(least) <= value * 1.1


def test_a_few_bright_nuclei_on_a_noisy_background_are_no_outliers() -> None:
    image = nuclei(512, number=3)
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert grey.values == plain(image)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("specks", [0, 300])
def test_one_nucleus_on_noise_sets_the_range(number: int, specks: int) -> None:
    """Percentile 99.8 of all voxels lies in the noise, which would fill the range."""
    image = nuclei(768, number=number, seed=3).astype(np.uint16)
    chosen = np.random.default_rng(1).choice(image.size, specks, replace=False)
    image.ravel()[chosen] = 4000
    grey = grey_values([image], RANGE)
    assert plain(image)[1] < 30
    assert grey is not None
    assert 5 <= grey.values[0] <= 10
    assert 75 <= grey.values[1] <= 90


def test_noise_alone_keeps_its_percentiles() -> None:
    image = np.random.default_rng(0).normal(100, 5, (512, 512)).round().astype(np.uint16)
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert grey.values == plain(image)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_too_large_for_a_float_keep_their_differences(dtype: str) -> None:
    start = 2**62 + 1
    image = nuclei().astype(dtype) + np.array(start, dtype)
    grey = grey_values([image], RANGE)
    assert grey is not None
    assert [value - start for value in grey.values] == list(plain(nuclei()))


@given(
    values=hnp.arrays(np.int64, 8, elements=st.integers(-(2**63), 2**63 - 1)),
    start=st.integers(-(2**64), 2**64),
)
def test_subtraction_is_exact_for_integers_of_any_size(values: np.ndarray, start: int) -> None:
    for array in (values, values.view(np.uint64)):
        expected = [float(int(value) - start) for value in array]
        np.testing.assert_allclose(subtract(array, start), expected, rtol=1e-15)
        if abs(start) < 2**52:
            np.testing.assert_allclose(subtract(array, start + 0.5), [e - 0.5 for e in expected])


@settings(max_examples=30, deadline=None)
@given(
    shape=hnp.array_shapes(min_dims=2, max_dims=3, max_side=40),
    seed=st.integers(0, 10**6),
    levels=st.sampled_from([1, 2, 5, 300]),
    factor=st.sampled_from([1, 3, -2]),
    offset=st.integers(-1000, 1000),
)
def test_the_range_follows_the_grey_values(
    shape: tuple, seed: int, levels: int, factor: int, offset: int
) -> None:
    """Brightness and contrast change the range in the same way as the image."""
    rng = np.random.default_rng(seed)
    # All values are above 0, because a single value below 0 would be padding.
    image = rng.integers(0, levels, shape).astype(np.int32) + 2 * 10**4
    image[..., : shape[-1] // 2] = image.flat[0]
    changed = image * abs(factor) + offset
    quantiles = (2, 98)
    grey, expected = (grey_values([i], quantiles) for i in (changed, image))
    assert grey is not None
    assert expected is not None
    assert grey.values == tuple(abs(factor) * v + offset for v in expected.values)
    assert grey.left_out == expected.left_out


@given(hnp.arrays(np.float32, (20, 20), elements=st.sampled_from([np.nan, np.inf, 1, 2])))
def test_voxels_that_are_not_finite_do_not_count(image: np.ndarray) -> None:
    grey = grey_values([image], RANGE)
    if grey is None:
        assert not np.isfinite(image).any()
    else:
        assert set(grey.values) <= {1.0, 2.0}


def test_a_flat_image_has_a_flat_range() -> None:
    grey = grey_values([np.full((40, 40), 7, np.uint8)], RANGE)
    assert grey is not None
    assert grey.values == (7, 7)


def test_the_range_does_not_depend_on_how_the_image_is_cut_into_pieces() -> None:
    image = nuclei()
    image[:, :50] = 3
    whole = grey_values([image], (5, 50, 95))
    halves = grey_values([image[:128], image[128:]], (5, 50, 95))
    assert whole == halves
