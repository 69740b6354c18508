"""From image, model and options to numbers: blocks, tiles, levels, cost. Reads metadata only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from bigunet.blocks import BlockGrid
from bigunet.choices import Precision
from bigunet.errors import GeometryError, OptionError
from bigunet.geometry import Box, Point
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.output.extents import chunk_limit
from bigunet.io.output.layout import PyramidLayout, lay_out, plan_pyramid
from bigunet.model.files.model_file import load_model
from bigunet.model.inference.flops import flop_counter
from bigunet.model.inference.hardware import native_precision
from bigunet.model.inference.turning import num_turns, turned
from bigunet.model.model import Model
from bigunet.option_fields import chosen
from bigunet.segmentation.plan.channel_choice import choose_channels
from bigunet.segmentation.plan.memory_share import MemoryShare
from bigunet.segmentation.plan.shapes import block_shape, tile_shape
from bigunet.segmentation.plan.voxel_size import resolve_level
from bigunet.segmentation.plan.wanted import Wanted
from bigunet.segmentation.plan.worker_choice import gpu_bytes, settled
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.tiling import Tiling
from bigunet.urls import shown_url

# Between a voxel's height and width; what is trained on one scale tolerates more.
_SAME_SCALE = 0.01


@dataclass(frozen=True)
class SegmentPlan:
    """What a run would do, in numbers; block and box are in voxels of the segmented level.

    Parameters
    ----------
    image : Multiscale
    model : Model
        As it is run: averaged over turns where the options ask for it.
    options : SegmentOptions
        With what was chosen for channels, blocks, tiles and precision.
    channels : tuple of int
        Channels of the image that the model reads.
    region : Box
        What is segmented, along the volume's axes t, z, y, x as far as the image has them.
    tiling : Tiling
    layout : PyramidLayout
        Of each output.
    wanted : Wanted
        Which voxels of the region are segmented; the others become label 0.
    share : MemoryShare
        What a worker may take.
    """

    image: Multiscale
    model: Model
    options: SegmentOptions
    channels: tuple[int, ...]
    region: Box
    tiling: Tiling
    layout: PyramidLayout
    wanted: Wanted
    share: MemoryShare

    @property
    def grid(self) -> BlockGrid:
        return BlockGrid(self.region, self.layout.block_shape(0))

    @property
    def level(self) -> int:
        """The level that is segmented."""
        return self.options.chosen_level

    def wanted_on(self, level: int) -> Wanted:
        """Which voxels of another level are segmented, as far as mask and stored chunks tell."""
        return Wanted.of(self.image, replace(self.options, level=level), self.channels)

    @property
    def precision(self) -> Precision:
        choice = self.options.precision
        assert choice != "auto"
        return choice

    @property
    def network_axes(self) -> int:
        """How many of the last axes the network sees."""
        return self.model.ndim

    @property
    def turns(self) -> int:
        """In how many rotations and mirrors the network sees each tile; 1 without ``tta``."""
        return num_turns(self.model.module)

    @cached_property
    def _flops(self) -> Callable[[Point], int | None]:
        return flop_counter(self.model.module, in_channels=self.model.in_channels)

    def pass_flops(self, shape: Point) -> int | None:
        """Operations of one forward pass on a tile of this spatial shape; None if unknown."""
        return self._flops(shape)

    def recompute(self) -> float | None:
        """FLOPs of all tiles, divided by those of one pass over the whole region.

        None where the module's operations cannot be counted.
        """
        ndim = self.network_axes
        whole = self._flops(self.model.receptive_field.input_shape(self.region.shape[-ndim:]))
        total = self.total_flops()
        if not whole or total is None:
            return None
        return total / (whole * math.prod(self.region.shape[:-ndim]))

    def total_flops(self) -> int | None:
        """Operations of all tiles of all blocks; None where they cannot be counted."""
        total = 0
        for box, times in self.kinds_of_blocks():
            tile = next(self.tiling.tiles(box))
            # Sizes that recur are counted once.
            flops = self._flops(tile.input.shape[-self.network_axes :])
            if flops is None:
                return None
            total += times * self.tiling.num_tiles(box) * flops
        return total

    def bytes_read(self) -> int:
        """Of pixels that the blocks read, uncompressed, halos included."""
        return sum(times * self._read_bytes(box) for box, times in self.kinds_of_blocks())

    def read_ratio(self, bytes_read: int | None = None) -> float:
        """Bytes read, or those that are planned, for each byte of what is segmented."""
        image = self.region.size * self._bytes_per_pixel()
        return (self.bytes_read() if bytes_read is None else bytes_read) / image

    def bytes_written(self) -> int:
        """Of all levels of all outputs, uncompressed."""
        voxels = sum(math.prod(level.shape) for level in self.layout.levels)
        return voxels * self._bytes_per_voxel()

    def block_memory_bytes(self) -> int:
        """Of the largest block's pixels and outputs, in memory at one time."""
        block = self.grid.box((0,) * self.region.ndim)
        return self._read_bytes(block) + block.size * self._bytes_per_voxel()

    def uncut_block_bytes(self) -> int:
        """Of a block that the region's end does not cut: what decides about its shape."""
        block = self.layout.block_shape(0)
        read = math.prod(self.tiling.field.input_shape(block)) * self._bytes_per_pixel()
        return read + math.prod(block) * self._bytes_per_voxel()

    def _read_bytes(self, box: Box) -> int:
        return self.tiling.read_box(box).size * self._bytes_per_pixel()

    def _bytes_per_pixel(self) -> int:
        """Of one voxel of the image, all channels that are read."""
        dtype = np.dtype(self.image.level(self.level).dtype)
        return dtype.itemsize * len(self.channels)

    def _bytes_per_voxel(self) -> int:
        return _output_bytes(self.model, self.options)

    def kinds_of_blocks(self) -> list[tuple[Box, int]]:
        """One block of each size and phase, and how many there are of it."""
        kinds: list[tuple[Point, Point, int]] = [((), (), 1)]
        for axis, stride in enumerate(self.tiling.field.stride):
            kinds = [
                ((*start, phase), (*stop, phase + length), times * n)
                for start, stop, times in kinds
                for (phase, length), n in self.grid.phases(axis, stride).items()
            ]
        return [(Box(start, stop), times) for start, stop, times in kinds]

    def to_dict(self) -> dict[str, Any]:
        """What `plan` prints and every report begins with."""
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
            "halo": list(self.model.receptive_field.halo),
            "stride": list(self.model.receptive_field.stride),
            "tile": list(tile.input.shape[-ndim:]),
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


def plan(
    source: str | Path,
    *,
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    **fields: Unpack[SegmentKeywords],
) -> SegmentPlan:
    """What segmenting ``source`` would run; reads metadata only, whatever the image's size.

    Parameters
    ----------
    source : path or URL
    model : str, path or Model
    options : SegmentOptions, optional
    **fields
        Fields of SegmentOptions, such as ``level=1``.

    Raises
    ------
    BigUNetError
        If image, model and options do not fit.
    """
    loaded = model if isinstance(model, Model) else load_model(model)
    options = chosen(SegmentOptions, options, fields, plan)
    gpus = gpu_bytes(settled(None, options.device), options.device)
    image = open_multiscale(source, axes=options.axes)
    return make_plan(image, loaded, options, gpu_bytes=gpus)


def make_plan(
    image: Multiscale,
    model: Model,
    options: SegmentOptions,
    *,
    workers: int = 1,
    memory_bytes: int = 0,
    gpu_bytes: tuple[int, ...] = (),
    inside_image: bool = False,
) -> SegmentPlan:
    """Fit the options to the image and the model; ``inside_image``, the levels to the image's.

    ``workers`` share the memory of one machine, or of a job with ``memory_bytes``; ``gpu_bytes``
    are those of their GPUs.

    Raises
    ------
    OptionError
        If level, channels, region, block or tile shape do not fit.
    """
    level = resolve_level(image, model, options.level)
    options = replace(options, level=level)
    shape = image.volume_shape(level)
    space = [axis for axis in image.volume_axes if axis != "t"]
    if model.ndim > len(space):
        raise OptionError(
            f"model {model.description.name!r} is {model.ndim}D, but {image.url} has only the "
            f"spatial axes {', '.join(space)}; choose a {len(space)}D model"
        )
    region = _region(image, shape, options)
    run = _turned(image, model, level) if options.tta else model
    field = run.receptive_field.with_leading_axes(len(shape) - model.ndim)
    channels = choose_channels(image, model.description, options.channels)
    if len(options.grey_range) not in (0, 1, len(channels)):
        raise OptionError(
            f"{len(options.grey_range)} grey ranges for {len(channels)} channel(s): give one for "
            "all, or one each"
        )
    share = MemoryShare.of(options.memory_limit or memory_bytes, workers, gpu_bytes)
    pixel = np.dtype(image.level(level).dtype).itemsize * len(channels)
    output = _output_bytes(model, options)

    def block_bytes(block: Point) -> int:
        return math.prod(field.input_shape(block)) * pixel + math.prod(block) * output

    block = block_shape(
        region.shape,
        model.ndim,
        options.block_shape,
        memory_bytes=block_bytes,
        limit_bytes=share.block_bytes,
    )
    largest = BlockGrid(region, block).box((0,) * region.ndim)
    precision = _precision(model, options)
    tile = tile_shape(
        run,
        field,
        largest,
        options.tile_shape,
        precision=precision,
        limit_bytes=share.pass_bytes(block_bytes(largest.shape)),
    )
    return SegmentPlan(
        image=image,
        model=run,
        options=replace(
            options,
            channels=channels,
            block_shape=block,
            tile_shape=tile[-model.ndim :],
            precision=precision,
        ),
        channels=channels,
        region=region,
        tiling=Tiling(field, tile),
        share=share,
        layout=_levels_of(image, block, model.ndim)
        if inside_image
        else plan_pyramid(
            region.shape,
            block,
            downsampled=tuple(axis >= len(shape) - model.ndim for axis in range(len(shape))),
            chunk_limit=chunk_limit(model.ndim, len(shape)),
        ),
        wanted=Wanted.of(image, options, channels),
    )


def _precision(model: Model, options: SegmentOptions) -> Precision:
    """As asked for; ``auto`` is what the hardware here is made for, where the model allows it."""
    if options.precision != "auto":
        return options.precision
    on_gpu = options.device != "cpu" and torch.cuda.is_available()
    native = native_precision("cuda" if on_gpu else "cpu")
    return native if native in model.description.precisions else "fp32"


def _output_bytes(model: Model, options: SegmentOptions) -> int:
    """What is written of each voxel."""
    num_classes = len(model.description.classes)
    return sum(num_classes if o == "probabilities" else 1 for o in options.outputs)


def _turned(image: Multiscale, model: Model, level: int) -> Model:
    """The model averaged over the turns that leave the shape of a voxel as it is."""
    height, width = image.volume_scale(level)[-2:]
    return turned(model, square=math.isclose(height, width, rel_tol=_SAME_SCALE))


def _levels_of(image: Multiscale, block: Point, network_ndim: int) -> PyramidLayout:
    """The image's own levels."""
    shapes = [image.volume_shape(level) for level in range(len(image.levels))]
    try:
        return lay_out(shapes, block, chunk_limit=chunk_limit(network_ndim, len(block)))
    except GeometryError as error:
        raise OptionError(
            f"labels cannot follow the levels of {image.url}: {error}; give an OUT"
        ) from error


def _region(image: Multiscale, shape: Point, options: SegmentOptions) -> Box:
    start, stop = [0] * len(shape), list(shape)
    for name, (a, b) in options.roi.items():
        if name not in image.volume_axes:
            axes = ", ".join(image.volume_axes)
            raise OptionError(f"roi {name}={a}:{b}: {image.url} has the axes {axes}")
        axis = image.volume_axes.index(name)
        if b > shape[axis]:
            raise OptionError(f"roi {name}={a}:{b}: the level has {shape[axis]} voxels there")
        start[axis], stop[axis] = a, b
    return Box(tuple(start), tuple(stop))
