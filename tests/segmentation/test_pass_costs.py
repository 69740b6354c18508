"""Laws of the cost of a pass, and of the tiles that cost least by it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.classes_as_image import classes_model

from bigunet import Model, UNet, UNetConfig
from bigunet.geometry import Box, Point
from bigunet.model.inference.flops import flop_counter
from bigunet.options.choices import Precision
from bigunet.segmentation.plan.pass_costs import PassCost, pass_cost
from bigunet.segmentation.plan.shapes import pass_memory, tile_shape
from bigunet.tiling import Tiling

MODELS = {
    "unet": Model.of_module(UNet(UNetConfig(width=2, depth=1)).initialise(), ndim=2),
    # It computes nothing twice, so that operations alone say nothing of its tiles.
    "classes": classes_model(2),
}
FLOPS = {name: flop_counter(one.module, in_channels=1) for name, one in MODELS.items()}
costs = st.builds(
    PassCost, st.floats(0, 1), st.floats(0, 1e-3), st.floats(1e6, 1e15, allow_infinity=False)
)


@given(
    costs,
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**15)), min_size=1, max_size=5),
)
def test_passes_cost_as_much_together_as_one_by_one(
    cost: PassCost, passes: list[tuple[int, int]]
) -> None:
    together = cost.seconds(
        voxels=sum(voxels for voxels, _ in passes),
        flops=sum(flops for _, flops in passes),
        passes=len(passes),
    )
    alone = sum(cost.seconds(voxels=voxels, flops=flops) for voxels, flops in passes)
    assert together == pytest.approx(alone)


@settings(max_examples=20)
@given(
    name=st.sampled_from(list(MODELS)),
    precision=st.sampled_from(["fp32", "bf16"]),
    on_gpu=st.booleans(),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    limit=st.integers(1, 10_000_000),
    other=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_no_tile_that_fits_costs_less_than_the_chosen_one(
    name: str, precision: Precision, on_gpu: bool, shape: Point, limit: int, other: Point
) -> None:
    model, block = MODELS[name], Box.of_shape(shape)
    field, memory = model.receptive_field, pass_memory(model, precision)

    def seconds(tile: Point) -> float:
        read = field.input_shape(tile)
        return pass_cost(precision, on_gpu=on_gpu).seconds(
            voxels=count(tile) * math.prod(read),
            flops=count(tile) * (FLOPS[name](read) or 0),
            passes=count(tile),
        )

    def count(tile: Point) -> int:
        return Tiling(field, tile).num_tiles(block)

    best, _ = tile_shape(
        model, field, block, (), precision=precision, limit_bytes=limit, on_gpu=on_gpu
    )
    # A tile that is larger than the block is cut down to it, in whole strides.
    other = next(Tiling(field, other).tiles(block)).output.shape
    other = tuple(-(-n // s) * s for n, s in zip(other, field.stride))
    if memory(field.input_shape(other)) <= limit:
        assert memory(field.input_shape(best)) <= limit
        assert seconds(best) <= seconds(other) * (1 + 1e-9)


def test_small_passes_waste_more_of_a_gpu_than_of_cores() -> None:
    gpu, cores = (pass_cost("bf16", on_gpu=on_gpu) for on_gpu in (True, False))
    voxels, flops = 300**2, 10**9
    waste = [
        cost.seconds(voxels=voxels, flops=flops, passes=16)
        / cost.seconds(voxels=voxels, flops=flops)
        for cost in (gpu, cores)
    ]
    assert waste[0] > waste[1] > 1
