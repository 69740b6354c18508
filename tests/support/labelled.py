"""Labelled images of all sorts, for laws about the table of objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box, Point
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.sums import ObjectSums

SHAPES = ((1, 1), (1, 9), (9, 1), (7, 11), (16, 13), (1, 6, 7), (5, 6, 7), (8, 3, 9))
GREY_TYPES = ("u1", "i2", "u2", ">u2", "f4")


@st.composite
def labelled(draw: st.DrawFn, shapes: tuple[Point, ...] = SHAPES) -> np.ndarray:
    """Voxels at random, boxes, lines and single voxels, with ids that have gaps."""
    shape = draw(st.sampled_from(shapes))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = rng.integers(0, 5, shape) * (rng.random(shape) < draw(st.sampled_from((0.1, 0.9))))
    for label in range(5, 5 + draw(st.integers(0, 4))):
        start = [int(rng.integers(0, n)) for n in shape]
        lengths = [int(rng.integers(1, n - a + 1)) for a, n in zip(start, shape)]
        kept = [n if rng.random() < 0.7 else 1 for n in lengths]
        labels[tuple(slice(a, a + n) for a, n in zip(start, kept))] = label
    step = draw(st.sampled_from((1, 7, 2**33 + 5)))
    return np.asarray(labels * step, np.int64 if step > 7 else draw(st.sampled_from(("u2", "i8"))))


def grey_for(labels: np.ndarray, dtype: str, channels: int, seed: int) -> np.ndarray:
    """Grey values of every size that the type has, (channels, *space)."""
    rng = np.random.default_rng(seed)
    shape = (channels, *labels.shape)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return np.asarray(rng.normal(size=shape) * 10.0 ** rng.integers(-6, 6, shape), kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, kind.newbyteorder("="), True).astype(kind)


def block_sums(labels: np.ndarray, grey: np.ndarray | None, start: Point) -> ObjectSums:
    """Sums of one block of a volume that ends with it; channels have their numbers as names."""
    box = Box.of_shape(labels.shape).shift(start)
    channels = {str(c): values for c, values in enumerate(() if grey is None else grey)}
    return sums_of_block(labels, box, Box.of_shape(box.stop), channels)


def parts_of(
    labels: np.ndarray, grey: np.ndarray | None, block_shape: Point
) -> Iterator[ObjectSums]:
    """Sums of each block, in the order of the grid."""
    grid = BlockGrid(Box.of_shape(labels.shape), block_shape)
    for index in np.ndindex(*grid.shape):
        box = grid.box(index)
        where = box.within(grid.region)
        yield block_sums(labels[where], None if grey is None else grey[:, *where], box.start)


def bits_of(sums: ObjectSums) -> list[object]:
    """Everything in the sums, to compare to the last bit."""
    wides = [sums.first_moments, sums.second_moments]
    plain = [sums.ids, sums.frames, sums.voxels, sums.start, sums.stop]
    for channel in sums.grey:
        wides += [channel.total, channel.squares]
        plain += [channel.least, channel.greatest]
    arrays = [*plain, *(wide.limbs for wide in wides)]
    described = [(array.dtype.str, array.shape, array.tobytes()) for array in arrays]
    names = [channel.name for channel in sums.channels]
    return [*described, *(wide.low for wide in wides), names, sums.probability is None]
