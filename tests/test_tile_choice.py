"""Laws of the choice of tiles: it fits, it is the cheapest there is, and it covers the block."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import GeometryError
from bigunet.geometry import Box, Point
from bigunet.model.networks.unet import UNetConfig
from bigunet.tile_choice import tile_costs
from bigunet.tiling import Tiling

networks = st.builds(UNetConfig, ndim=st.just(2), width=st.just(4), depth=st.integers(1, 3))


def memory(shape: Point) -> int:
    return 100 * math.prod(shape)


@settings(max_examples=50)
@given(
    networks,
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.integers(1, 20_000_000),
    st.tuples(st.integers(1, 130), st.integers(1, 130)),
)
def test_no_cheaper_tile_fits(
    config: UNetConfig, start: Point, shape: Point, limit: int, other: Point
) -> None:
    field = config.receptive_field()
    block = Box(start, tuple(a + n for a, n in zip(start, shape)))
    choices = tile_costs(field, block, cost=config.flops, memory_bytes=memory, limit_bytes=limit)
    best = choices[0]
    assert [f.cost for f in choices] == sorted(f.cost for f in choices)
    tiles = list(Tiling(field, best.tile).tiles(block))
    assert len(tiles) == best.count
    assert sum(tile.output.size for tile in tiles) == block.size
    assert best.cost == pytest.approx(sum(config.flops(tile.input.shape) for tile in tiles))
    first = next(Tiling(field, other).tiles(block))
    if memory(first.input.shape) <= limit:
        total = Tiling(field, other).num_tiles(block) * config.flops(first.input.shape)
        assert best.cost <= total * (1 + 1e-9)
    if memory(best.input) > limit:
        smallest = field.input_shape(field.stride)
        assert memory(best.input) == memory(smallest)


def test_axes_that_the_network_does_not_see_take_one_voxel() -> None:
    field = UNetConfig(width=4, depth=2).receptive_field().with_leading_axes(1)
    block = Box((0, 0, 0), (5, 64, 64))
    choices = tile_costs(field, block, cost=math.prod, memory_bytes=memory, limit_bytes=10**9)
    assert choices[0].tile == (1, 64, 64)
    assert choices[0].count == 5


def test_in_3d_memory_decides_about_recompute() -> None:
    config = UNetConfig(ndim=3, width=32, depth=3)
    field, block = config.receptive_field(), Box.of_shape((512, 512, 512))

    def bytes_of(shape: Point) -> int:
        return 2 * 4 * 32 * math.prod(shape)

    whole = config.flops(field.input_shape(block.shape))
    previous = math.inf
    for gigabytes in (1, 2, 4, 8):
        choices = tile_costs(field, block, cost=config.flops, memory_bytes=bytes_of,
                           limit_bytes=gigabytes * 10**9)  # fmt: skip
        assert choices[0].cost < previous
        previous = choices[0].cost
    assert previous / whole < 1.6


def test_a_block_of_other_axes_is_refused() -> None:
    field = UNetConfig(width=4, depth=2).receptive_field()
    for block in (Box.of_shape((3, 3, 3)), Box.of_shape((0, 3))):
        with pytest.raises(GeometryError, match="cannot be cut into tiles"):
            tile_costs(field, block, cost=math.prod, memory_bytes=memory, limit_bytes=1)
