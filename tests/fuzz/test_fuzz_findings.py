"""Faults that the fuzz has revealed, one test each, with the right value."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from conftest import write_ome_zarr
from distributed import Client
from torch import nn

from bigunet import Model, SegmentOptions, plan, segment, verify
from bigunet.errors import BlockError, ImageError, OptionError
from bigunet.grey.range_rule import grey_values
from bigunet.model.inference.inputs import GreyRange, NetworkInputs
from bigunet.segmentation.plan.fit import check_fit
from bigunet.segmentation.plan.normalisation import fix_normalisation


class Above(nn.Module):
    """A network with one score: its input minus a half, times ten."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.layer.weight, 10.0)
        nn.init.constant_(self.layer.bias, -5.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layer(image)
        return scores


MODEL = Model.of_module(Above(), ndim=2, voxel_size_um=(0.5, 0.5))


def inputs(values: list[float], dtype: str, low: float, high: float) -> list[float]:
    made = NetworkInputs(GreyRange((low,), (high,)), ndim=1, device=torch.device("cpu"))
    tile = np.array([values], dtype)
    return [float(n) for n in made.normalised(made.prepared(tile))[0]]


@pytest.mark.parametrize(
    ("values", "dtype", "low", "high", "expected"),
    [
        ([0, 3e38], "float32", -1e300, 1e300, [0.5, 0.5]),
        ([-3e38, 0, 3e38], "float32", -3e38, 3e38, [0, 0.5, 1]),
        ([0, 3e-45, 6e-45], "float32", 0.0, 5.605193857299268e-45, [0, 0.5, 1]),
        ([0, 65504], "float16", -1e39, 1e39, [0.5, 0.5]),
        ([0, 255], "uint8", -1e300, 1e300, [0.5, 0.5]),
        ([0, 1], "bool", -1e300, 1e300, [0.5, 0.5]),
        ([np.nan, np.inf, -np.inf, 5], "float32", 0, 10, [0, 0, 0, 0.5]),
        ([np.nan, np.inf, -np.inf, 5], "float64", 0, 10, [0, 0, 0, 0.5]),
    ],
)
def test_a_range_beyond_float32_is_not_lost(
    values: list[float], dtype: str, low: float, high: float, expected: list[float]
) -> None:
    assert inputs(values, dtype, low, high) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_inputs_beyond_float32_do_not_count_as_black(
    tmp_path: Path, client: Client, dtype: str
) -> None:
    zarr.create_array(str(tmp_path / "in.zarr"), data=np.full((9, 9), 7, dtype), chunks=(9, 9))
    options = SegmentOptions(grey_range=((-1e-300, 1e-300),))
    with pytest.raises(BlockError, match="scores that are not finite"):
        segment(
            tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, client=client, options=options
        )


def test_an_even_image_passes_verification(tmp_path: Path, client: Client) -> None:
    zarr.create_array(
        str(tmp_path / "in.zarr"), data=np.full((60, 60), 5.5, "float32"), chunks=(60, 60)
    )
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Tanh(), nn.Conv2d(8, 2, 3))
    model = Model.of_module(network, ndim=2)
    where = tmp_path / "in.zarr", tmp_path / "out.zarr"
    options = SegmentOptions(tile_shape=(19, 29), grey_range=((5, 6),), backend="torch")
    segment(*where, model=model, client=client, options=options)
    assert verify(*where, model=model).passed


@pytest.mark.parametrize("value", [1e38, -1e38, 1e300, 1.7e308, -1.7e308])
def test_a_constant_image_of_huge_numbers_becomes_0(tmp_path: Path, value: float) -> None:
    zarr.create_array(str(tmp_path / "in.zarr"), data=np.full((20, 20), value), chunks=(9, 9))
    made = plan(tmp_path / "in.zarr", model=MODEL)
    normalisation, bulk = fix_normalisation(made)
    low, high = normalisation.values.low[0], normalisation.values.high[0]
    assert low == value
    assert low < high < np.inf or value > 1e308
    assert check_fit(made, normalisation, bulk).medians == (0,)
    assert inputs([value], "float64", low, high) == [0]


def test_a_mask_of_fewer_axes_is_verified_without_a_warning(tmp_path: Path, client: Client) -> None:
    write_ome_zarr(tmp_path / "in.zarr", "zyx", shape=(3, 20, 20))
    mask = np.ones((20, 20), np.uint8)
    mask[:5] = 0
    zarr.create_array(str(tmp_path / "mask.zarr"), data=mask, chunks=(20, 20))
    options = SegmentOptions(mask=str(tmp_path / "mask.zarr"))
    where = tmp_path / "in.zarr", tmp_path / "out.zarr"
    segment(*where, model=MODEL, client=client, options=options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verify(*where, model=MODEL).passed


@pytest.mark.parametrize("scale", [1e-320, 1e-310, 1e-200, 1e200])
def test_voxels_of_any_size_are_compared(tmp_path: Path, scale: float) -> None:
    write_ome_zarr(tmp_path / "in.zarr", shape=(20, 20), metadata={"scale": (scale, scale)})
    made = plan(tmp_path / "in.zarr", model=MODEL, options=SegmentOptions(level="auto"))
    fit = check_fit(made, *fix_normalisation(made))
    assert any("resample the image" in line for line in fit.warnings)


@pytest.mark.parametrize("outer", [1e-200, 1e200])
def test_transformations_that_multiply_to_no_float_are_refused(
    tmp_path: Path, outer: float
) -> None:
    metadata: dict[str, Any] = {
        "scale": (outer, outer),
        "outer": [{"type": "scale", "scale": [outer, outer]}],
    }
    write_ome_zarr(tmp_path / "in.zarr", shape=(20, 20), metadata=metadata)
    with pytest.raises(ImageError, match=r"all together are the scale .* correct them"):
        plan(tmp_path / "in.zarr", model=MODEL)


def test_the_plan_checks_the_number_of_grey_ranges(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "in.zarr", shape=(20, 20))
    with pytest.raises(OptionError, match=r"2 grey ranges for 1 channel\(s\)"):
        plan(
            tmp_path / "in.zarr",
            model=MODEL,
            options=SegmentOptions(grey_range=((0, 1), (1, 2))),
        )


def test_equal_quantiles_have_equal_values_in_any_order() -> None:
    image = np.random.default_rng(0).normal(100, 10, (64, 64)).astype(np.float32)
    image.flat[::200] = 5000
    grey = grey_values([image], (1, 99.8, 1, 50, 99.8, 100, 99.8))
    assert grey is not None
    assert grey.outliers
    low, high, again, _, *others = grey.values
    assert low == again
    assert high < 200
    assert others == [high] * 3
    once = grey_values([image], (99.8, 99.8))
    assert once is not None
    assert once.values == (5000, 5000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", ["greatest", "least"])
def test_the_rule_holds_for_the_greatest_and_the_least_floats(dtype: str, size: str) -> None:
    plain = np.random.default_rng(0).normal(100, 10, (64, 64)).clip(1, 200)
    plain[np.random.default_rng(1).random((64, 64)) < 0.003] = 5000
    ends = np.finfo(dtype)
    factor = float(ends.max) / 8192 if size == "greatest" else float(ends.tiny)
    exponent = int(np.floor(np.log2(factor)))
    image = np.ldexp(plain.astype("float32"), 0).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = grey_values([image], (1, 99.8))
        grey = grey_values([np.ldexp(image, exponent)], (1, 99.8))
    assert expected is not None
    assert grey is not None
    assert expected.outliers
    assert grey.values == tuple(float(np.ldexp(v, exponent)) for v in expected.values)
