"""The plan of a run: what it would do, in numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bigunet.blend_tiling import BlendTiling
from bigunet.blocks import BlockGrid
from bigunet.geometry import Box, Point
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import scale_um
from bigunet.io.output.layout import PyramidLayout
from bigunet.model.inference.flops import flop_counter
from bigunet.model.inference.turning import num_turns
from bigunet.model.model import Model
from bigunet.objects.overlaps import box_to_link
from bigunet.objects.rule import ObjectRule
from bigunet.options.choices import Output, Precision
from bigunet.options.short_repr import counted, line_repr, shown_shape
from bigunet.segmentation.output_kinds import MADE_OF_CLASSES, OUTPUT_KINDS
from bigunet.segmentation.plan.link_choice import linked_ndim
from bigunet.segmentation.plan.memory_share import MemoryShare
from bigunet.segmentation.plan.selection import Selection
from bigunet.segmentation.plan.shapes import pass_memory
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.tiling import Tiling
from bigunet.urls import shown_url

# Measured peaks, besides grey values: 13 (label, holes), 19 (relabel with border and threshold) and
# 13 (measure) bytes.
_OBJECT_BYTES = 19
# Measured peak for a voxel that is read, with the frame that follows.
_LINK_BYTES = 13
# Measured peaks for a voxel that is read, with the halo, were 25 (seeds) and 11 (pieces).
_SPLIT_BYTES = 28


@dataclass(frozen=True)
class SegmentPlan:
    """What a run would do, in numbers. Blocks and boxes are in voxels of the segmented level.

    Parameters
    ----------
    image : ImageDescription
    model : Model
        The model that runs; with the option ``tta`` it averages over turns.
    options : SegmentOptions
        The user's options, with the chosen level, channels, blocks, tiles and precision.
    channels : tuple of int
        Channels of the image that the model reads.
    region : Box
        The segmented box, along the volume axes of the image: the slice axis comes before the
        other axes of space.
    tiling : Tiling or BlendTiling
        With overlapping tiles, the result is blended and not exact.
    layout : PyramidLayout
        Levels of each output.
    selection : Selection
        Voxels of the region that are segmented; the others become label 0.
    share : MemoryShare
        Memory that one worker may use.
    objects : ObjectRule, optional
        Which voxels are one object, if numbered objects are written.
    """

    image: ImageDescription
    model: Model
    options: SegmentOptions
    channels: tuple[int, ...]
    region: Box
    tiling: Tiling | BlendTiling
    layout: PyramidLayout
    selection: Selection
    share: MemoryShare
    objects: ObjectRule | None = None

    def __repr__(self) -> str:
        blocks = (
            f"{counted(self.grid.num_blocks, 'block')} of {shown_shape(self.layout.block_shape(0))}"
        )
        voxels = f"{shown_shape(self.region.shape)} voxels"
        return line_repr(
            self, shown_url(self.image.url), self.model.description.name, voxels, blocks
        )

    @property
    def output_grid(self) -> BlockGrid:
        """The same blocks as boxes of the output, which begins at voxel 0."""
        return BlockGrid(Box.of_shape(self.region.shape), self.layout.block_shape(0))

    @property
    def grid(self) -> BlockGrid:
        """The blocks that the region is cut into."""
        return BlockGrid(self.region, self.layout.block_shape(0))

    @property
    def level(self) -> int:
        """The level that is segmented."""
        return self.options.chosen_level

    def selection_on(self, level: int) -> Selection:
        """The selection on another level of the image, from the same mask and its own chunks."""
        return Selection.of(self.image, replace(self.options, level=level), self.channels)

    @property
    def precision(self) -> Precision:
        """The number format of the convolutions."""
        choice = self.options.precision
        assert choice != "auto"
        return choice

    @property
    def method(self) -> str:
        """How the result comes about: "exact", or a text about the blend."""
        return self.tiling.method if isinstance(self.tiling, BlendTiling) else "exact"

    @property
    def exact(self) -> bool:
        """Whether the result is that of one pass over the whole image; else it is blended."""
        return not isinstance(self.tiling, BlendTiling)

    @property
    def network_axes(self) -> int:
        """Number of the last axes that the network sees."""
        return self.model.ndim

    @property
    def writes_table(self) -> bool:
        """Whether the objects are measured."""
        return self.objects is not None and not self.options.no_table

    @property
    def object_axes(self) -> tuple[str, ...]:
        """Names of the axes of one object, in the order of its table.

        They are those of the network, and that of linked planes.
        """
        axes = self.image.volume_axes[-linked_ndim(self.options, self.network_axes) :]
        return tuple(sorted(axes, key="zyx".index))

    @property
    def measuring_order(self) -> tuple[int, ...]:
        """Axes of the output in the order of the table: frames, then those of an object."""
        axes = self.image.volume_axes
        frames = range(len(axes) - len(self.object_axes))
        return (*frames, *map(axes.index, self.object_axes))

    @property
    def voxel_size_um(self) -> tuple[float, ...] | None:
        """Size of a voxel in micrometres along the axes of an object, if the image states it."""
        size = scale_um(self.image, self.level)
        if size is None:
            return None
        of_axis = dict(zip(self.image.volume_axes[-len(size) :], size))
        return tuple(of_axis[axis] for axis in self.object_axes)

    @property
    def turns(self) -> int:
        """Number of rotations and mirrors of each tile that are computed; 1 without ``tta``."""
        return num_turns(self.model.module)

    @property
    def slab(self) -> int:
        """Planes of a tile that the network takes at a time; 0 if it takes each tile at once."""
        return self.options.chosen_slab

    def pass_bytes(self, shape: Point) -> int:
        """Memory of one forward pass on a tile of this spatial shape."""
        dtype = np.dtype(self.image.level(self.level).dtype)
        held = pass_memory(self.model, self.precision, slab=self.slab, dtype=dtype)
        return held(shape)

    @cached_property
    def _flops(self) -> Callable[[Point], int | None]:
        return flop_counter(self.model.module, in_channels=self.model.in_channels)

    def pass_flops(self, shape: Point) -> int | None:
        """FLOPs of one forward pass on a tile of this spatial shape; None if unknown."""
        return self._flops(shape)

    def recompute(self) -> float | None:
        """FLOPs of all tiles, divided by the FLOPs of one pass over the whole region.

        None if the FLOPs of the module cannot be counted. Of overlapping tiles, it is the voxels of
        all scores, divided by those of the region.
        """
        if isinstance(self.tiling, BlendTiling):
            tiles = sum(n * self.tiling.num_tiles(box) for box, n in self.kinds_of_blocks())
            return tiles * math.prod(self.tiling.scores_shape) / self.region.size
        ndim = self.network_axes
        whole = self._flops(self.model.receptive_field.input_shape(self.region.shape[-ndim:]))
        total = self.total_flops()
        if not whole or total is None:
            return None
        return total / (whole * math.prod(self.region.shape[:-ndim]))

    def total_flops(self) -> int | None:
        """FLOPs of all tiles of all blocks; None if they cannot be counted."""
        total = 0
        for box, times in self.kinds_of_blocks():
            tile = next(self.tiling.tiles(box))
            # The function remembers sizes, so that each is counted once.
            flops = self._flops(tile.input.shape[-self.network_axes :])
            if flops is None:
                return None
            total += times * self.tiling.num_tiles(box) * flops
        return total

    def bytes_read(self) -> int:
        """Bytes of the pixels that all blocks read, uncompressed, with their halos."""
        return sum(times * self._read_bytes(box) for box, times in self.kinds_of_blocks())

    def read_ratio(self, bytes_read: int | None = None) -> float:
        """Bytes read per byte of the segmented region; by default the bytes that are planned."""
        image = self.region.size * self._bytes_per_pixel()
        return (self.bytes_read() if bytes_read is None else bytes_read) / image

    def bytes_written(self) -> int:
        """Bytes of all levels of all outputs, uncompressed."""
        voxels = sum(math.prod(level.shape) for level in self.layout.levels)
        return voxels * output_bytes(self.model, self.options.outputs)

    def block_memory_bytes(self) -> int:
        """Memory for the pixels and the outputs of the largest block, in bytes."""
        block = self.grid.box((0,) * self.region.ndim)
        return self._read_bytes(block) + block.size * self._bytes_per_voxel()

    def object_memory_bytes(self) -> int:
        """Memory for the largest block while its objects are labelled or measured, in bytes."""
        block = self.grid.box((0,) * self.region.ndim)
        needed = block.size * object_bytes(self.image, self.level)
        for link in self.objects.links if self.objects else ():
            read = box_to_link(block, self.grid.region, link.axis)
            needed = max(needed, read.size * _LINK_BYTES)
        if self.objects is None or self.objects.split is None:
            return needed
        halo = self.objects.split.halo(self.objects.ndim)
        read = block.grow((0,) * (block.ndim - len(halo)) + halo).intersection(self.region)
        return max(needed, read.size * _SPLIT_BYTES)

    def uncut_block_bytes(self) -> int:
        """Memory for a whole block that the end of the region does not cut, in bytes."""
        block = self.layout.block_shape(0)
        read = math.prod(self.tiling.field.input_shape(block)) * self._bytes_per_pixel()
        return read + math.prod(block) * self._bytes_per_voxel()

    def _read_bytes(self, box: Box) -> int:
        return self.tiling.read_box(box).size * self._bytes_per_pixel()

    def _bytes_per_pixel(self) -> int:
        """Bytes of one voxel of the image, with all channels that are read."""
        dtype = np.dtype(self.image.level(self.level).dtype)
        return dtype.itemsize * len(self.channels)

    def _bytes_per_voxel(self) -> int:
        """Bytes that a block holds for one voxel while it is segmented."""
        outputs = [output for output in self.options.outputs if output not in MADE_OF_CLASSES]
        # A blend adds up scores and weights in float32.
        scores = 0 if self.exact else 4 * (len(self.model.description.classes) + 1)
        return output_bytes(self.model, outputs) + scores

    def kinds_of_blocks(self) -> list[tuple[Box, int]]:
        """One block of each kind, and the number of such blocks.

        Blocks of one kind have equally many tiles, and read equally much, so that sums over all
        blocks need only these few.
        """
        kinds: list[tuple[Point, Point, int]] = [((), (), 1)]
        for axis in range(self.region.ndim):
            along = self.tiling.kinds_along(self.grid, axis)
            kinds = [
                ((*starts, start), (*stops, stop), times * n)
                for starts, stops, times in kinds
                for start, stop, n in along
            ]
        return [(Box(start, stop), times) for start, stop, times in kinds]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON: what `bigunet plan` prints, and what every report begins with."""
        ndim = self.network_axes
        tile = next(self.tiling.tiles(self.grid.box((0,) * self.region.ndim)))
        recompute = self.recompute()
        return {
            "image": shown_url(self.image.url),
            "level": self.level,
            "channels": [self.image.shown_channels[c] for c in self.channels],
            "channel_indices": list(self.channels),
            "axes": list(self.image.volume_axes),
            "shape": list(self.region.shape),
            "voxels": self.region.size,
            "model": self.model.description.name,
            "outputs": list(self.options.outputs),
            "levels": len(self.layout.levels),
            "blocks": self.grid.num_blocks,
            "block_shape": list(self.layout.block_shape(0)),
            "method": self.method,
            "halo": list(self.tiling.field.halo[-ndim:]),
            "stride": list(self.tiling.field.stride[-ndim:]),
            "tile": list(tile.input.shape[-ndim:]),
            "slab": self.slab,
            "recompute": None if recompute is None else round(recompute, 4),
            "flops": self.total_flops(),
            "bytes_read": self.bytes_read(),
            "bytes_read_per_image_byte": round(self.read_ratio(), 4),
            "bytes_written": self.bytes_written(),
            "block_memory_bytes": self.block_memory_bytes(),
            "precision": self.precision,
            "turns": self.turns,
            "skip_empty": self.options.skip_empty,
            "mask": shown_url(self.options.mask) or None,
        }


def object_bytes(image: ImageDescription, level: int) -> int:
    """Bytes that a block holds for one voxel while its objects are labelled or measured."""
    return _OBJECT_BYTES + image.num_channels * np.dtype(image.level(level).dtype).itemsize


def output_bytes(model: Model, outputs: Iterable[Output]) -> int:
    """Bytes that outputs together hold for one voxel of the segmented level."""
    num_classes = len(model.description.classes)
    kinds = [OUTPUT_KINDS[output] for output in outputs]
    return sum(k.num_channels(num_classes) * np.dtype(k.dtype).itemsize for k in kinds)
