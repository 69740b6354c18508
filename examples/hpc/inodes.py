"""Count the files of an output with and without shards, from the layout that bigunet writes.

python examples/hpc/inodes.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from bigunet.geometry import Point, ceil_div
from bigunet.io.output.extents import chunk_limit, default_block_shape
from bigunet.io.output.layout import PyramidLayout, plan_pyramid

# Name, shape, and number of axes of the network.
IMAGES = [
    ("a plane", (32_768, 32_768), 2),
    ("a slide", (320_000, 320_000), 2),
    ("200 planes", (200, 8192, 8192), 2),
    ("a teravoxel", (8192, 10_240, 12_288), 3),
]


def num_files(layout: PyramidLayout, *, sharded: bool) -> int:
    """The most files with voxels that one output has; pure background takes no file."""
    stored = ((level.shape, level.shard if sharded else level.chunk) for level in layout.levels)
    return sum(math.prod(map(ceil_div, shape, file)) for shape, file in stored)


def default_layout(shape: Point, ndim: int) -> PyramidLayout:
    """The layout of an output whose blocks are not made smaller by a lack of memory."""
    return plan_pyramid(
        shape,
        default_block_shape(shape, network_ndim=ndim),
        downsampled=tuple(axis >= len(shape) - ndim for axis in range(len(shape))),
        chunk_limit=chunk_limit(ndim, len(shape)),
    )


def rows() -> Iterable[str]:
    """The lines of a table in Markdown."""
    yield "| image | voxels | block | blocks | files, OME-Zarr 0.5 | files, 0.4 |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, shape, ndim in IMAGES:
        layout = default_layout(shape, ndim)
        cells = [
            name,
            " × ".join(map(str, shape)),
            " × ".join(map(str, layout.block_shape(0))),
            f"{math.prod(layout.grid_shape(0)):,}",
            f"{num_files(layout, sharded=True):,}",
            f"{num_files(layout, sharded=False):,}",
        ]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(rows()))
