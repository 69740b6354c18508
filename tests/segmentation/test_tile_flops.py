"""Laws of the operations of tiles that are interpolated: they are those that are counted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.geometry import Point
from bigunet.model.networks.unet import UNetConfig
from bigunet.segmentation.plan.tile_flops import interpolated

sizes = st.integers(1, 400)
configs = st.builds(UNetConfig, ndim=st.sampled_from([2, 3]), width=st.just(4),
                    depth=st.integers(1, 3))  # fmt: skip


@settings(max_examples=40)
@given(configs, st.tuples(sizes, sizes, sizes), st.tuples(sizes, sizes, sizes))
def test_interpolated_operations_are_those_that_are_counted(
    config: UNetConfig, largest: Point, tile: Point
) -> None:
    field, ndim = config.receptive_field(), config.ndim
    asked: list[Point] = []

    def count(shape: Point) -> int:
        asked.append(shape)
        return config.flops(shape)

    flops = interpolated(count, field, largest[:ndim])
    shape = field.input_shape(tile[:ndim])
    assert flops(shape) == pytest.approx(config.flops(shape), rel=1e-4)
    for more in range(1, 9):
        flops(field.input_shape([n + more * s for n, s in zip(tile, field.stride)]))
    if min(largest[:ndim]) > 6 * max(field.stride):
        assert len(asked) <= 2**ndim + 2


@given(st.tuples(sizes, sizes), st.tuples(sizes, sizes))
def test_other_operations_are_counted(largest: Point, tile: Point) -> None:
    field = UNetConfig(width=2, depth=1).receptive_field()
    for count in (lambda shape: math.prod(shape) ** 2, lambda shape: None):
        flops = interpolated(count, field, largest)
        shape = field.input_shape(tile)
        assert flops(shape) == count(shape)
