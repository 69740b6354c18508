"""What a worker does for one block: it copies the voxels, and halves them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Index, Result
from bigunet.io.images.reader import Reader
from bigunet.io.output.writer import OutputWriter


@dataclass(frozen=True)
class CopyWork:
    """Copies blocks of level 0 of an image, and writes the levels that one task can write.

    Parameters
    ----------
    reader : Reader
        Of all channels.
    writer : OutputWriter
    grid : BlockGrid
    has_channels : bool
        Whether the output has an axis of channels.
    """

    reader: Reader
    writer: OutputWriter
    grid: BlockGrid
    has_channels: bool

    def __call__(self, index: Index) -> Result:
        """Copy one block."""
        box = self.grid.box(index)
        begun = time.perf_counter()
        voxels = self.reader.read(box)
        read = time.perf_counter()
        files = self.writer.write_block(0, box, voxels if self.has_channels else voxels[0])
        return {
            "voxels": box.size,
            "files": files.to_list(),
            "extremes": [_extremes(channel) for channel in voxels],
            "read_seconds": round(read - begun, 4),
            "write_seconds": round(time.perf_counter() - read, 4),
        }


def _extremes(voxels: np.ndarray) -> list[Any]:
    """Least and greatest finite value, as JSON has them; empty if there is none."""
    if voxels.dtype.kind == "f":
        voxels = voxels[np.isfinite(voxels)]
    if not voxels.size:
        return []
    return [voxels.min().item(), voxels.max().item()]
