"""What a worker does for one block of the stage "label": connected voxels become fragments."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result
from bigunet.io.output.writer import OutputWriter
from bigunet.objects.block_fragments import fragments_of_labels, label_block
from bigunet.objects.rule import ObjectRule
from bigunet.segmentation.instances.object_files import ObjectFiles


@dataclass(frozen=True)
class LabelWork:
    """Labels the fragments of blocks, from the classes that were written.

    Parameters
    ----------
    classes : OutputWriter
        The classes of the run.
    fragments : OutputWriter
        Gets the fragment of each voxel.
    files : ObjectFiles
    rule : ObjectRule
    grid : BlockGrid
        Blocks of the output, from voxel 0 on.
    """

    classes: OutputWriter
    fragments: OutputWriter
    files: ObjectFiles
    rule: ObjectRule
    grid: BlockGrid

    def __call__(self, index: Index) -> Result:
        """Label one block; the result has the number of its fragments."""
        box = self.grid.box(index)
        begun = time.perf_counter()
        labels = label_block(self.classes.read_box(0, box), self.rule)
        known = fragments_of_labels(labels, box, self.grid.region, ndim=self.rule.ndim)
        labelled = time.perf_counter()
        files = self.fragments.write_block(0, box, labels)
        files += self.files.write_block(self.grid.number(index), known)
        return {
            "voxels": box.size,
            "fragments": known.num_fragments,
            "files": files.to_list(),
            "compute_seconds": round(labelled - begun, 4),
            "write_seconds": round(time.perf_counter() - labelled, 4),
        }
