"""An output that is in memory whole, and stands for one that is computed."""

from __future__ import annotations

import numpy as np

from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.layout import plan_pyramid
from bigunet.io.output.output_image import OutputImage
from bigunet.options.choices import SliceAxis


class WholeOutput:
    """Voxels are numbers that differ, level after level.

    Parameters
    ----------
    order : str
        Letters of the axes as they are stored; with c there are three channels.
    slice_axis : {"z", "y", "x"}
    smallest : int
        The longest side of the last level.
    """

    def __init__(self, order: str, *, slice_axis: SliceAxis = "z", smallest: int = 512) -> None:
        self.output = _output(order, slice_axis, smallest)
        channels = (3,) if self.output.has_channels else ()
        shapes = [(*channels, *level.shape) for level in self.output.layout.levels]
        self.levels = [np.arange(np.prod(n), dtype=np.uint16).reshape(n) + 1 for n in shapes]
        self.final = True
        self.working_levels = frozenset({0})
        self.asked: list[tuple[int, Box]] = []

    def compute(self, level: int, box: Box) -> np.ndarray:
        return self.read(level, box)

    def read(self, level: int, box: Box) -> np.ndarray:
        whole = Box.of_shape(self.output.layout.levels[level].shape)
        return self.levels[level][(slice(None),) * self.output.has_channels + box.within(whole)]

    def is_final(self, level: int, box: Box) -> bool:
        return self.final

    def starts_work(self, level: int, chunk: tuple[int, ...]) -> bool:
        assert len(chunk) == len(self.output.layout.shape)
        return level in self.working_levels

    def ask(self, level: int, box: Box) -> list[str]:
        self.asked.append((level, box))
        return ["wish"]


def _output(order: str, slice_axis: SliceAxis, smallest: int) -> OutputImage:
    kinds = {"c": "channel", "t": "time"}
    ndim = len(order.replace("c", ""))
    shape = (2, 5, 4, 7)[-ndim:]
    return OutputImage(
        store="out.zarr",
        group="probabilities",
        kind="image",
        dtype="uint16",
        axes=tuple(Axis(letter, kinds.get(letter, "space")) for letter in order),  # type: ignore[arg-type]
        layout=plan_pyramid(
            shape,
            shape,
            downsampled=(False,) * (ndim - 2) + (True, True),
            chunk_limit=shape,
            smallest=smallest,
        ),
        num_channels=3 if "c" in order else 1,
        scale=tuple(1.0 + k for k in range(ndim)),
        translation=(0.0,) * ndim,
        version="0.5",
        slice_axis=slice_axis,
    )
