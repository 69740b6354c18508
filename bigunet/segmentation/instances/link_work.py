"""What a worker does for one block of the stage "link": it counts overlaps between frames."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result
from bigunet.objects.link_rule import LinkRule
from bigunet.objects.overlaps import overlaps_of_block
from bigunet.segmentation.instances.fragment_ids import FragmentIds
from bigunet.segmentation.instances.numbered_files import NumberedFiles


@dataclass(frozen=True)
class LinkWork:
    """Counts the overlaps of the objects in blocks with those of the next planes or time points.

    Parameters
    ----------
    ids : FragmentIds
        Ids of the objects without links and without growth.
    links : tuple of LinkRule
    files : NumberedFiles
        Gets the overlaps of each block.
    grid : BlockGrid
        Blocks of the output, from voxel 0 on.
    """

    ids: FragmentIds
    links: tuple[LinkRule, ...]
    files: NumberedFiles
    grid: BlockGrid

    def __call__(self, index: Index) -> Result:
        """Count the overlaps of one block; the result has the number of pairs."""
        box = self.grid.box(index)
        begun = time.perf_counter()
        overlaps = overlaps_of_block(self.ids.read, box, self.grid.region, self.links)
        files = self.files.write(self.grid.number(index), overlaps.to_bytes())
        return {
            "voxels": box.size,
            "pairs": sum(one.num_pairs for one in overlaps.of_links),
            "files": files.to_list(),
            "compute_seconds": round(time.perf_counter() - begun, 4),
        }
