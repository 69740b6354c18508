"""What a worker does for one block of a later level: downsample the level before."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result
from bigunet.io.output.block_files import Files
from bigunet.io.output.writer import OutputWriter


@dataclass(frozen=True)
class DownsampleWork:
    """Writes blocks of later levels from the level before.

    Parameters
    ----------
    writers : tuple of OutputWriter
    group : int
        Number of the group of levels that is written, 1 or more.
    grid : BlockGrid
        Blocks of the first level of the group.
    """

    writers: tuple[OutputWriter, ...]
    group: int
    grid: BlockGrid

    def __call__(self, index: Index) -> Result:
        """Write one block of each output."""
        box = self.grid.box(index)
        begun = time.perf_counter()
        files = Files()
        for writer in self.writers:
            files += writer.downsample_block(self.group, box)
        seconds = round(time.perf_counter() - begun, 4)
        return {"voxels": box.size, "files": files.to_list(), "write_seconds": seconds}
