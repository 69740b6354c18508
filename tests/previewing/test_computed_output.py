"""Laws of the levels of an output that is not whole: they show exactly what is done."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.layout import PyramidLayout, plan_pyramid
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.pyramid import downsample_mean, downsample_mode
from bigunet.io.output.writer import OutputWriter
from bigunet.previewing.blocks_done import BlocksDone
from bigunet.previewing.computed_output import ComputedOutput


def output_in(folder: Path, layout: PyramidLayout, *, classes: bool) -> OutputImage:
    axes = [Axis("z", "space")] * (len(layout.shape) - 2) + [Axis("y", "space"), Axis("x", "space")]
    ndim = len(layout.shape)
    output = OutputImage(
        store=str(folder),
        group="labels/classes" if classes else "probabilities",
        kind="label" if classes else "image",
        dtype="uint8",
        axes=tuple(axes) if classes else (Axis("c", "channel"), *axes),
        layout=layout,
        num_channels=1 if classes else 2,
        scale=(1.0,) * ndim,
        translation=(0.0,) * ndim,
        version="0.5",
    )
    create_arrays(output)
    return output


@st.composite
def layouts(draw: Any) -> PyramidLayout:
    ndim = draw(st.integers(2, 3))
    lengths = st.integers(1, 40 if ndim == 2 else 14)
    shape = tuple(draw(lengths) for _ in range(ndim))
    block = tuple(draw(st.sampled_from([4, 6, 8] if ndim == 2 else [4, 6])) for _ in range(ndim))
    limit = (draw(st.integers(1, 8)),) * ndim
    halved = (draw(st.booleans()),) * (ndim - 2) + (True, True)
    return plan_pyramid(shape, block, downsampled=halved, chunk_limit=limit, smallest=3)


def pyramid_of(values: np.ndarray, layout: PyramidLayout, *, classes: bool) -> list[np.ndarray]:
    """All levels, each made whole of the one before."""
    levels = [values]
    for level in range(1, len(layout.levels)):
        step = layout.step(level)
        last = levels[-1]
        levels.append(downsample_mode(last, step) if classes else downsample_mean(last, (1, *step)))
    return levels


@settings(max_examples=15)
@given(st.data(), layouts(), st.booleans())
def test_each_level_is_made_of_what_is_done_and_0_elsewhere(
    data: Any, layout: PyramidLayout, classes: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        output = output_in(Path(folder), layout, classes=classes)
        grid = BlockGrid(Box.of_shape(layout.shape), layout.block_shape(0))
        done = BlocksDone(grid, ())
        computed = ComputedOutput(output, None, done)  # type: ignore[arg-type]
        channels = () if classes else (2,)
        random = np.random.default_rng(data.draw(st.integers(0, 99)))
        whole = random.integers(1, 4 if classes else 256, (*channels, *layout.shape), np.uint8)
        masked = np.zeros_like(whole)
        for index in data.draw(
            st.lists(st.sampled_from(list(np.ndindex(*grid.shape))), max_size=4)
        ):
            box = grid.box(index)
            place = (slice(None),) * len(channels) + box.within(grid.region)
            OutputWriter(output).write_block(0, box, whole[place])
            masked[place] = whole[place]
            done.add(index)
            for level, values in enumerate(pyramid_of(masked, layout, classes=classes)):
                shape = layout.levels[level].shape
                start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
                stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape))
                part = Box(start, stop)
                inside = (slice(None),) * len(channels) + part.within(Box.of_shape(shape))
                np.testing.assert_array_equal(computed.read(level, part), values[inside])
                np.testing.assert_array_equal(computed.read(level, Box.of_shape(shape)), values)


@pytest.mark.parametrize(
    ("shape", "block", "starting"),
    [
        ((400, 400), (512, 512), [0]),
        ((2000, 3000), (512, 512), [0, 1, 2, 3]),  # 24 blocks in all
        ((90_000, 90_000), (2048, 2048), [0, 1, 2]),  # 24 blocks on a screen of level 2
        ((90_000, 90_000), (64, 64), [0]),  # level 0 always starts work
        ((2000, 5000, 5000), (32, 512, 512), [0]),
        ((64, 5000, 5000), (64, 1024, 1024), [0, 1]),  # 25 blocks in all
    ],
)
def test_looking_at_a_level_starts_work_where_a_screen_shows_few_blocks(
    shape: tuple[int, ...], block: tuple[int, ...], starting: list[int], tmp_path: Path
) -> None:
    limit = (512, 512) if len(shape) == 2 else (64, 64, 64)
    halved = (True,) * len(shape)
    layout = plan_pyramid(shape, block, downsampled=halved, chunk_limit=limit)
    done = BlocksDone(BlockGrid(Box.of_shape(shape), block), ())
    computed = ComputedOutput(output_in(tmp_path, layout, classes=True), None, done)  # type: ignore[arg-type]
    chunk = (64,) * 3 if len(shape) == 3 else (512, 512)
    levels = range(len(layout.levels))
    assert [level for level in levels if computed.starts_work(level, chunk)] == starting
