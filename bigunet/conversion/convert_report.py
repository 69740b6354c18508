"""The report of a conversion, in numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from bigunet.conversion.convert_plan import ConvertPlan, shapes_of
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import scale_um
from bigunet.io.output.archive import Packing
from bigunet.options.short_repr import counted, line_repr, shown_shape
from bigunet.urls import shown_url


@dataclass(frozen=True, slots=True)
class ConvertReport:
    """What a conversion did.

    Parameters
    ----------
    image : str
        Address of the image.
    output : str
        Path of the output.
    axes : tuple of str
        Names of the axes of the output, without the channel.
    levels : tuple of tuple of int
        Shape of each level along these axes.
    channels : tuple of str
        Names of the channels; the index of a channel without a name.
    dtype : str
    voxel_size_um : tuple of float or None
        Micrometres along z, y and x; None if the image does not state them.
    blocks_done : int
        Blocks of level 0 that this run copied; earlier runs did the others.
    seconds : float
        Time from the first block to the last byte.
    peak_memory_bytes : int
        Peak memory of this process and its children.
    already_finished : bool
        Whether an earlier run had finished the output.
    packed_files : int
        Files in the archive, if the output is one; else 0.
    packed_bytes : int
        Bytes of these files.
    """

    image: str
    output: str
    axes: tuple[str, ...]
    levels: tuple[tuple[int, ...], ...]
    channels: tuple[str, ...]
    dtype: str
    voxel_size_um: tuple[float, ...] | None
    blocks_done: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    already_finished: bool = False
    packed_files: int = 0
    packed_bytes: int = 0

    @classmethod
    def of(cls, plan: ConvertPlan, **done: Any) -> ConvertReport:
        """The report of a plan, and of what was ``done``."""
        return cls(
            image=shown_url(plan.image.url),
            output=plan.output.store,
            axes=plan.output.canonical_names,
            levels=tuple(shapes_of(plan.layout)),
            channels=plan.image.shown_channels,
            dtype=plan.output.dtype,
            voxel_size_um=scale_um(plan.image, 0),
            **done,
        )

    @classmethod
    def of_packed(cls, image: ImageDescription, packing: Packing, **done: Any) -> ConvertReport:
        """The report of a folder that was packed as it is."""
        return cls(
            image=shown_url(image.url),
            axes=image.volume_axes,
            levels=tuple(image.volume_shape(k) for k in range(len(image.levels))),
            channels=image.shown_channels,
            dtype=image.levels[0].dtype,
            voxel_size_um=scale_um(image, 0),
            **done,
        ).with_packing(packing)

    def with_packing(self, packing: Packing, **changed: Any) -> ConvertReport:
        """The same report, with the files of the archive."""
        return replace(
            self, packed_files=len(packing.keys), packed_bytes=packing.num_bytes, **changed
        )

    def __repr__(self) -> str:
        voxels = f"{shown_shape(self.levels[0])} voxels"
        levels, channels = (
            counted(len(self.levels), "level"),
            counted(len(self.channels), "channel"),
        )
        return line_repr(self, self.output, voxels, channels, levels, f"{self.seconds:.1f} s")

    @property
    def voxels(self) -> int:
        """Voxels of level 0, of one channel."""
        return math.prod(self.levels[0])

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet convert --json` prints."""
        return asdict(self) | {"seconds": round(self.seconds, 3)}
