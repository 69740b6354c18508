"""What a worker does for one block of the stage "relabel": fragments become numbered objects."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result
from bigunet.geometry import Box
from bigunet.io.output.writer import OutputWriter
from bigunet.objects.relabelling import box_to_read, grown_block
from bigunet.objects.rule import ObjectRule
from bigunet.segmentation.instances.fragment_ids import FragmentIds
from bigunet.segmentation.instances.object_classes import ReadBox


@dataclass(frozen=True)
class RelabelWork:
    """Writes the ids of the objects in blocks, grown into the border class.

    Parameters
    ----------
    classes : callable
        Reads the classes of a box.
    instances : OutputWriter
        Gets the ids.
    ids : FragmentIds
        Ids of the objects, without growth.
    rule : ObjectRule
    grid : BlockGrid
        Blocks of the output, from voxel 0 on.
    """

    classes: ReadBox
    instances: OutputWriter
    ids: FragmentIds
    rule: ObjectRule
    grid: BlockGrid

    def __call__(self, index: Index) -> Result:
        """Write the ids of one block."""
        box = self.grid.box(index)
        begun = time.perf_counter()
        values = self._ids(box)
        computed = time.perf_counter()
        files = self.instances.write_block(0, box, values)
        return {
            "voxels": box.size,
            "files": files.to_list(),
            "compute_seconds": round(computed - begun, 4),
            "write_seconds": round(time.perf_counter() - computed, 4),
        }

    def _ids(self, box: Box) -> np.ndarray:
        """Ids of a block, after growth."""
        if self.rule.border is None or self.rule.border_width == 0:
            return self.ids.read(box)
        width, ndim = self.rule.border_width, self.rule.ndim
        read = box_to_read(box, self.grid.region, width, ndim=ndim)
        border = self.classes(read) == self.rule.border
        ids = self.ids.read(read)
        return grown_block(ids, border, read=read, write=box, width=width, ndim=ndim)
