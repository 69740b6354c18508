"""Arrays of an output that is not published lie where the published ones lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.outputs import (
    blocks,
    output_image,
    random_values,
    write_all,
)

from bigunet.geometry import Box
from bigunet.io.files.opening import open_image
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.unpublished import open_unpublished
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.publish import write_discovery_metadata
from bigunet.io.output.writer import OutputWriter


def unpublished(output: OutputImage) -> Multiscale | None:
    scale, translation = output.placement(0)
    return open_unpublished(
        output.store, output.group, axes=output.axes,
        scale=output.as_stored(scale, channel=1.0),
        translation=output.as_stored(translation, channel=0.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("axes", "version"),
    [("yx", "0.4"), ("xy", "0.5"), ("zyx", "0.5"), ("tyx", "0.5"), ("cyx", "0.5")],
)
def test_all_levels_lie_where_the_published_ones_do(
    tmp_path: Path, axes: str, version: str
) -> None:
    output = output_image(tmp_path / "out.zarr", axes, version)
    write_all(output, random_values(output))
    before = unpublished(output)
    write_discovery_metadata([output], provenance={})
    after = open_image(tmp_path / "out.zarr" / output.group)
    assert before is not None
    assert before.axes == after.axes
    placed = [(one.shape, one.chunks, one.shards, one.dtype) for one in before.levels]
    assert placed == [(one.shape, one.chunks, one.shards, one.dtype) for one in after.levels]
    for one, other in zip(before.levels, after.levels):
        assert one.scale == pytest.approx(other.scale)
        assert one.translation == pytest.approx(other.translation)


def test_a_coarse_level_counts_when_its_first_voxels_are_written(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    assert unpublished(output) is None
    create_arrays(output)
    assert levels_of(output) == 1
    values: Any = random_values(output)
    first = next(blocks(output, 0))
    part = values[first.within(Box.of_shape(output.layout.shape))]
    OutputWriter(output).write_block(0, first, part | 1)
    assert levels_of(output) == len(output.layout.groups[0])
    assert len(output.layout.groups) > 1


def levels_of(output: OutputImage) -> int:
    opened = unpublished(output)
    assert opened is not None
    return len(opened.levels)
