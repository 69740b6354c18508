"""The grid of overlapping tiles: it covers the image, and no block changes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.blend_tiling import BlendTiling, blend_weights
from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError
from bigunet.geometry import Box
from bigunet.segmentation.run.blended import blended_scores
from bigunet.tiling import Tile

SIZES = st.integers(1, 60)


@st.composite
def tilings(draw: st.DrawFn) -> BlendTiling:
    border = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    tile = tuple(draw(st.integers(1 + 2 * b, 30)) for b in border)
    return BlendTiling((draw(SIZES), draw(SIZES)), tile, border)


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...]) -> Box:
    starts = tuple(draw(st.integers(0, n - 1)) for n in shape)
    return Box(starts, tuple(draw(st.integers(a + 1, n)) for a, n in zip(starts, shape)))


@given(st.data(), tilings())
def test_the_tiles_of_a_box_are_those_of_the_image_that_touch_it(
    data: st.DataObject, tiling: BlendTiling
) -> None:
    box = data.draw(boxes(tiling.image_shape))
    whole = list(tiling.tiles(Box.of_shape(tiling.image_shape)))
    touching = [tile.scores for tile in whole if tile.scores.intersection(box).size]
    assert [tile.scores for tile in tiling.tiles(box)] == touching
    assert tiling.num_tiles(box) == len(touching)
    for tile in tiling.tiles(box):
        assert tiling.read_box(box).contains(tile.input)
        assert tile.input.shape == tiling.tile_shape
        assert box.contains(tile.output)


@given(tilings())
def test_the_tiles_cover_the_image_evenly_and_leave_it_only_where_it_is_smaller(
    tiling: BlendTiling,
) -> None:
    for size, tile, starts in zip(tiling.image_shape, tiling.scores_shape, tiling.starts):
        steps = np.diff(starts)
        if size <= tile:
            assert len(starts) == 1
            assert starts[0] <= 0
            assert starts[0] + tile >= size
            continue
        assert (starts[0], starts[-1] + tile) == (0, size)
        assert steps.min() >= 1
        assert steps.max() <= max(1, tile // 2)
        assert steps.max() - steps.min() <= 1


@given(st.data(), tilings(), st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_kinds_of_blocks_add_up_to_all_blocks(
    data: st.DataObject, tiling: BlendTiling, block: tuple[int, int]
) -> None:
    grid = BlockGrid(data.draw(boxes(tiling.image_shape)), block)
    tiles = read = 0
    for start, stop, times in tiling.kinds_along(grid, 0):
        box = Box((start, 0), (stop, 1))
        tiles += times * tiling.num_tiles(box)
        read += times * tiling.read_box(box).shape[0]
    of_blocks = [grid.box((k, 0)) for k in range(grid.shape[0])]
    column = [Box((box.start[0], 0), (box.stop[0], 1)) for box in of_blocks]
    assert tiles == sum(map(tiling.num_tiles, column))
    assert read == sum(tiling.read_box(box).shape[0] for box in column)


@settings(max_examples=40, deadline=None)
@given(st.data(), tilings())
def test_the_average_of_a_box_has_the_bytes_of_the_whole_images(
    data: st.DataObject, tiling: BlendTiling
) -> None:
    def scores_of(tile: Tile) -> torch.Tensor:
        rng = np.random.default_rng([100 + start for start in tile.scores.start])
        return torch.from_numpy(rng.normal(size=(2, *tile.scores.shape)).astype(np.float32))

    def blend(box: Box) -> np.ndarray:
        return blended_scores(box, tiling, tiling.tiles(box), scores_of).numpy()

    whole = Box.of_shape(tiling.image_shape)
    box = data.draw(boxes(tiling.image_shape))
    assert blend(box).tobytes() == blend(whole)[(slice(None), *box.within(whole))].tobytes()


@given(tilings())
def test_equal_scores_stay_what_they_are(tiling: BlendTiling) -> None:
    whole = Box.of_shape(tiling.image_shape)
    same = blended_scores(
        whole, tiling, tiling.tiles(whole), lambda tile: torch.full((1, *tile.scores.shape), 3.0)
    )
    assert torch.allclose(same, torch.tensor(3.0), rtol=1e-5)


def test_an_image_of_one_tile_is_one_pass() -> None:
    tiling = BlendTiling((40, 50), (40, 50), (0, 0))
    assert tiling.num_tiles(Box.of_shape((40, 50))) == 1


def test_weights_are_gaussians_of_an_eighth_of_the_tile() -> None:
    weights = blend_weights((33, 17))
    assert weights.shape == (33, 17)
    assert weights[16, 8] == 1
    assert weights[16, 10] == pytest.approx(np.exp(-0.5 * (2 / (17 / 8)) ** 2), rel=1e-6)
    assert weights.min() > 0
    assert np.array_equal(weights, weights[::-1, ::-1])


def test_a_smaller_tile_is_never_taken() -> None:
    tiling = BlendTiling((40, 50), (40, 50), (0, 0))
    with pytest.raises(MemoryError, match="smaller --tile-shape"):
        tiling.halved()
    with pytest.raises(GeometryError, match="lose"):
        BlendTiling((40,), (4,), (2,))
