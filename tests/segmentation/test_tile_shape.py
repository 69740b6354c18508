"""Laws of the tiles that a plan chooses."""

from __future__ import annotations

import math

import pytest
from support.classes_as_image import classes_model

from bigunet.geometry import Box
from bigunet.segmentation.plan.shapes import tile_shape


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_network_that_computes_nothing_twice_gets_large_tiles(ndim: int) -> None:
    model = classes_model(ndim)
    block = Box.of_shape((1024, 900) if ndim == 2 else (128, 100, 90))
    tile, _ = tile_shape(
        model, model.receptive_field, block, (), precision="fp32", limit_bytes=2 * 10**9
    )
    assert math.prod(tile) >= block.size / 4
