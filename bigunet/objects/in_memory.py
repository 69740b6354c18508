"""What the blocks of an array in memory have in common: their boxes, and ids for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.objects.numbering import ObjectIds
from bigunet.objects.relabelling import ids_of_labels


class Sliceable(Protocol):
    """An array of which boxes can be read: of numpy, zarr, h5py, dask and others."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, where: tuple[slice, ...], /) -> Any: ...


def all_boxes(grid: BlockGrid) -> Iterator[Box]:
    """Boxes of all blocks, in C order."""
    return map(grid.box, np.ndindex(*grid.shape))


def ids_of_blocks(labels: np.ndarray, numbers: ObjectIds, grid: BlockGrid) -> np.ndarray:
    """Ids of all voxels from the local labels of all blocks; the labels may be overwritten."""
    ids = labels.astype(numbers.ids.dtype, copy=False)
    for number, box in enumerate(all_boxes(grid)):
        where = box.within(grid.region)
        ids[where] = ids_of_labels(labels[where], numbers.of_block(number))
    return ids
