"""An output as a zarr for a viewer, whose chunks are computed when the viewer reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from bigunet.engine.wishes import Wish
from bigunet.geometry import Box, Point, ceil_div
from bigunet.previewing.computed_output import ComputedOutput
from bigunet.previewing.staleness import Staleness
from bigunet.viewing.zarr_view import ZarrView, viewed

_CHUNK_KEY = re.compile(r"(\d{1,3})/c((?:/\d{1,12})+)", re.ASCII)


@dataclass(frozen=True)
class LiveView(ZarrView):
    """As ZarrView, of an output that is computed.

    Parameters
    ----------
    computed : ComputedOutput
    staleness : Staleness
        Hears of chunks that were served before all of their blocks were done.
    """

    computed: ComputedOutput = field(kw_only=True)
    staleness: Staleness = field(kw_only=True)

    def ask(self, key: str) -> list[Wish]:
        """Ask for the blocks that a key must wait for; none for metadata and for overviews."""
        chunk = self._chunk_of(key)
        if chunk is None:
            return []
        level, box = chunk
        if not self.computed.starts_work(level, self.chunk_shape(level)[-box.ndim :]):
            return []
        return self.computed.ask(level, box)

    def drop(self, wishes: list[Wish]) -> None:
        """Take requests back."""
        self.computed.drop(wishes)

    def _voxels(self, level: int, box: Box) -> np.ndarray:
        several = len(self.channels) > 1
        volume = Box(box.start[several:], box.stop[several:])
        if not self.computed.is_final(level, volume):
            self.staleness.serve()
        values = self.computed.read(level, volume)
        if not self.computed.output.has_channels:
            return viewed(values, self.dtype)
        of_channels = values[list(self.channels)]
        return viewed(of_channels if several else of_channels[0], self.dtype)

    def _chunk_of(self, key: str) -> tuple[int, Box] | None:
        """The level and the voxels of the volume that a key stands for; None for other keys."""
        match = _CHUNK_KEY.fullmatch(key)
        if match is None or int(match[1]) >= len(self.image.levels):
            return None
        level = int(match[1])
        shape: Point = self.image.volume_shape(level)
        index = tuple(map(int, match[2].strip("/").split("/")))
        if len(index) != len(self.axes):
            return None
        index = index[-len(shape) :]
        chunk = self.chunk_shape(level)[-len(shape) :]
        if any(k >= ceil_div(n, m) for k, n, m in zip(index, shape, chunk)):
            return None
        start = tuple(k * m for k, m in zip(index, chunk))
        return level, Box(start, tuple(min(a + m, n) for a, m, n in zip(start, chunk, shape)))
