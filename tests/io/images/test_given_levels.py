"""Laws of a pyramid with given levels: factors of 1 and 2, odd extents rounded up or down."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bigunet.blocks import BlockGrid
from bigunet.errors import GeometryError, OutputError
from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.layout import PyramidLayout, lay_out
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.pyramid import downsample_mode
from bigunet.io.output.writer import OutputWriter
from bigunet.stores.access import open_array

AXES = tuple(Axis(name, "space") for name in "zyx")


@st.composite
def layouts(draw: st.DrawFn) -> PyramidLayout:
    """Two to four levels; a block has several chunks, so that one task writes several levels."""
    shapes = [tuple(draw(st.integers(1, 18)) for _ in AXES)]
    for _ in range(draw(st.integers(1, 3))):
        before = shapes[-1]
        choices = [sorted({n, max(n // 2, 1), -(-n // 2)}) for n in before]
        shapes.append(tuple(draw(st.sampled_from(choice)) for choice in choices))
    block = tuple(draw(st.sampled_from([4, 8, 16])) for _ in AXES)
    return lay_out(shapes, block, chunk_limit=(draw(st.sampled_from([1, 2, 4])),) * 3)


def output_of(layout: PyramidLayout, store: str) -> OutputImage:
    return OutputImage(
        store=store,
        group="labels/classes",
        kind="label",
        dtype="uint8",
        axes=AXES,
        layout=layout,
        num_channels=1,
        scale=(1.0,) * 3,
        translation=(0.0,) * 3,
        version="0.5",
    )


def write_all(output: OutputImage, values: np.ndarray) -> None:
    create_arrays(output)
    writer = OutputWriter(output)
    whole = Box.of_shape(values.shape)
    for index in np.ndindex(*output.layout.grid_shape(0)):
        box = BlockGrid(whole, output.layout.block_shape(0)).box(index)
        writer.write_block(0, box, values[box.within(whole)])
    for group in range(1, len(output.layout.groups)):
        shape = output.layout.levels[output.layout.groups[group][0]].shape
        grid = BlockGrid(Box.of_shape(shape), output.layout.block_shape(group))
        for index in np.ndindex(*output.layout.grid_shape(group)):
            writer.downsample_block(group, grid.box(index))


# The middle level is rounded down within a block; the voxel that it leaves out must not reach the
# last level.
DOWN_THEN_UP = lay_out([(11,) * 3, (5,) * 3, (3,) * 3], (16,) * 3, chunk_limit=(2,) * 3)


@settings(deadline=None, max_examples=15)
@given(layouts())
@example(DOWN_THEN_UP)
def test_each_level_is_downsampled_from_the_whole_level_before(layout: PyramidLayout) -> None:
    values = np.random.default_rng(0).integers(1, 4, layout.shape).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        output = output_of(layout, f"{folder}/in.zarr")
        write_all(output, values)
        for number, level in enumerate(layout.levels):
            if number:
                step = layout.step(number)
                kept = tuple(slice(0, n * f) for n, f in zip(level.shape, step))
                values = downsample_mode(values[kept], step)
            stored = np.asarray(open_array(output.store, f"{output.group}/{number}")[...])
            np.testing.assert_array_equal(stored, values)


@given(layouts())
def test_the_levels_are_those_given_and_factors_follow(layout: PyramidLayout) -> None:
    for number in range(1, len(layout.levels)):
        before, after = layout.levels[number - 1].shape, layout.levels[number].shape
        for n, m, step in zip(before, after, layout.step(number)):
            assert (m == n) if step == 1 else (m in (n // 2, -(-n // 2)))


@pytest.mark.parametrize("after", [(30, 20), (90, 90), (45, 61), (45,), (0, 30), (44, 30)])
def test_other_factors_are_refused(after: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match=r"follows one of \(90, 60\): only factors of 1 and 2"):
        lay_out([(90, 60), after], (32, 32), chunk_limit=(8, 8))


def test_places_are_for_all_levels_or_none() -> None:
    layout = lay_out([(4, 4, 4), (2, 2, 2)], (4, 4, 4), chunk_limit=(2, 2, 2))
    with pytest.raises(OutputError, match="2 levels and 1 placements"):
        OutputImage(
            store="in.zarr", group="labels/classes", kind="label", dtype="uint8", axes=AXES,
            layout=layout, num_channels=1, scale=(1.0,) * 3, translation=(0.0,) * 3, version="0.5",
            placements=(((1.0,) * 3, (0.0,) * 3),),
        )  # fmt: skip
