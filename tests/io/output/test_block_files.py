"""Laws of the files of blocks: the counts from writers are the counts from the folders."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.block_files import files_of_blocks, sources_of_block
from bigunet.io.output.layout import plan_pyramid
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writer import OutputWriter

AXES = (Axis("y", "space"), Axis("x", "space"))
CHANNEL = Axis("c", "channel")


def described(store: Path, version: str, kind: str, shape: tuple[int, ...]) -> OutputImage:
    layout = plan_pyramid(
        shape, (16, 16), downsampled=(True, True), chunk_limit=(8, 8), smallest=12
    )
    is_label = kind == "label"
    return OutputImage(
        store=str(store),
        group="labels/a" if is_label else "b",
        kind=kind,
        dtype="uint8",
        axes=AXES if is_label else (CHANNEL, *AXES),
        layout=layout,
        num_channels=1 if is_label else 2,
        scale=(1.0, 1.0),
        translation=(0.0, 0.0),
        version=version,
    )


@settings(deadline=None, max_examples=20)
@given(
    version=st.sampled_from(["0.4", "0.5"]),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 99),
)
def test_writers_report_the_files_of_each_block_in_each_group(
    version: str,
    shape: tuple[int, int],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = tmp_path_factory.mktemp("files") / "out.zarr"
    outputs = [described(store, version, kind, shape) for kind in ("label", "image")]
    rng = np.random.default_rng(seed)
    for output in outputs:
        create_arrays(output)
    layout = outputs[0].layout
    for group, levels in enumerate(layout.groups):
        first = layout.levels[levels[0]]
        grid = BlockGrid(Box.of_shape(first.shape), first.shard)
        counts = []
        for index in np.ndindex(*grid.shape):
            box = grid.box(index)
            count, num_bytes = 0, 0
            for output in outputs:
                writer = OutputWriter(output)
                if group == 0:
                    extent = (2, *box.shape) if output.has_channels else box.shape
                    # Some blocks hold only 0, and so have no files.
                    values = rng.integers(0, 9, extent, np.uint8) * rng.integers(0, 2, dtype="u1")
                    files = writer.write_block(0, box, values)
                else:
                    files = writer.downsample_block(group, box)
                count, num_bytes = count + files.count, num_bytes + files.num_bytes
            counts.append([count, num_bytes])
        assert files_of_blocks(outputs, group).tolist() == counts
    (store / "labels/a/0/c/01").mkdir(parents=True)
    (store / "labels/a/0/note").write_text("from another program")
    assert files_of_blocks(outputs, group).tolist() == counts
    shutil.rmtree(store)
    assert not files_of_blocks(outputs, 0).any()


@given(shape=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_the_sources_of_a_block_are_the_blocks_that_it_reads(shape: tuple[int, int]) -> None:
    output = described(Path("none"), "0.5", "label", shape)
    layout = output.layout
    for group in range(1, len(layout.groups)):
        level = layout.groups[group][0]
        grid = BlockGrid(Box.of_shape(layout.levels[level].shape), layout.levels[level].shard)
        shard = layout.levels[level - 1].shard
        for index in np.ndindex(*grid.shape):
            source = layout.finer(grid.box(index), level)
            voxels = itertools.product(*(range(a, b) for a, b in zip(source.start, source.stop)))
            expected = {tuple(v // s for v, s in zip(voxel, shard)) for voxel in voxels}
            parts = sources_of_block(output, group, index)
            assert expected == set(itertools.product(*(range(p.start, p.stop) for p in parts)))
