"""What a worker does for one block of the stage "measure": exact sums of its objects."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result
from bigunet.geometry import Box, Point
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.output.writer import OutputWriter
from bigunet.measuring.block_sums import sums_of_block
from bigunet.segmentation.instances.numbered_files import NumberedFiles


@dataclass(frozen=True)
class MeasureWork:
    """Adds up sizes, places and grey values of the objects in blocks.

    Parameters
    ----------
    instances : OutputWriter
        The ids of the run.
    probabilities : OutputWriter, optional
        The probabilities of the run, if it writes them.
    image : ArrayReader
        Reads all channels of the segmented level.
    channel_names : tuple of str
        Their names in the table.
    origin : tuple of int
        Voxel of the image where the output begins.
    files : NumberedFiles
        Gets the sums of each block.
    object_class : int
    order : tuple of int
        Axes of the output in the order in which they are measured: frames, then those of an object.
    ndim : int
        Axes of one object.
    grid : BlockGrid
        Blocks of the output, from voxel 0 on.
    """

    instances: OutputWriter
    probabilities: OutputWriter | None
    image: ArrayReader
    channel_names: tuple[str, ...]
    origin: Point
    files: NumberedFiles
    object_class: int
    order: tuple[int, ...]
    ndim: int
    grid: BlockGrid

    def __call__(self, index: Index) -> Result:
        """Measure one block; the result has the number of objects that have voxels in it."""
        box = self.grid.box(index)
        begun = time.perf_counter()
        ids = self.instances.read_box(0, box)
        grey = self._grey(box, is_needed=bool(ids.any()))
        probability = None
        if self.probabilities is not None:
            probability = self.probabilities.read_box(0, box, channel=self.object_class)
            probability = probability.transpose(self.order)
        sums = sums_of_block(
            ids.transpose(self.order),
            self._ordered(box),
            self._ordered(self.grid.region),
            {name: one.transpose(self.order) for name, one in zip(self.channel_names, grey)},
            probability=probability,
            ndim=self.ndim,
        )
        files = self.files.write(self.grid.number(index), sums.to_bytes())
        return {
            "voxels": box.size,
            "objects": len(sums),
            "files": files.to_list(),
            "compute_seconds": round(time.perf_counter() - begun, 4),
        }

    def _ordered(self, box: Box) -> Box:
        start, stop = (tuple(ends[axis] for axis in self.order) for ends in (box.start, box.stop))
        return Box(start, stop)

    def _grey(self, box: Box, *, is_needed: bool) -> np.ndarray:
        """Grey values of all channels, (channel, *box); zeros if no object needs them."""
        if is_needed:
            return self.image.read(box.shift(self.origin))
        nothing = np.zeros((), self.image.dtype)
        return np.broadcast_to(nothing, (len(self.channel_names), *box.shape))
