"""Makes a plan from image, model and options. It reads metadata, and no voxels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.errors import ImageError, OptionError
from bigunet.geometry import Box, Point
from bigunet.io.files.opening import open_image
from bigunet.io.images.label_classes import is_labels
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import scale_um
from bigunet.measuring.block_sums import MOST_VOXELS
from bigunet.model.inference.convolution import check_convolution
from bigunet.model.inference.hardware import device_of, has_device, native_precision
from bigunet.model.inference.turning import turned
from bigunet.model.model import Model
from bigunet.options.choices import Precision
from bigunet.options.convolution_kind import AUTO, DIRECT, is_winograd
from bigunet.options.option_fields import chosen
from bigunet.receptive import ReceptiveField
from bigunet.segmentation.model_choice import chosen_model
from bigunet.segmentation.output_kinds import MADE_OF_CLASSES
from bigunet.segmentation.plan.blend_choice import blend_tiling
from bigunet.segmentation.plan.channel_choice import choose_channels
from bigunet.segmentation.plan.deep_blocks import deep_block_shape
from bigunet.segmentation.plan.layouts import image_layout, own_layout
from bigunet.segmentation.plan.link_choice import linked_ndim
from bigunet.segmentation.plan.memory_share import MOST_BLOCKS_IN_WORK, MemoryShare
from bigunet.segmentation.plan.object_choice import (
    check_probabilities,
    choose_objects,
    choose_outputs,
)
from bigunet.segmentation.plan.region import region_box, region_in_voxels
from bigunet.segmentation.plan.seen_axes import seen_along
from bigunet.segmentation.plan.segment_plan import SegmentPlan, object_bytes, output_bytes
from bigunet.segmentation.plan.selection import Selection
from bigunet.segmentation.plan.shapes import block_shape, tile_shape
from bigunet.segmentation.plan.slabs import slab_choices
from bigunet.segmentation.plan.voxel_size import resolve_level
from bigunet.segmentation.plan.worker_choice import gpu_bytes, settled
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.tiling import Tiling

# Height and width of a voxel that differ less are equal. Training on one scale tolerates more.
_SAME_SCALE = 0.01


def plan(
    source: str | Path,
    *,
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    **fields: Unpack[SegmentKeywords],
) -> SegmentPlan:
    """Plan the segmentation of ``source``. Only metadata are read, whatever the image's size.

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
    options = chosen(SegmentOptions, options, fields, plan)
    loaded = chosen_model(model, options)
    gpus = gpu_bytes(settled(None, options.device), options.device)
    image = open_image(source, axes=options.axes)
    return make_plan(image, loaded, options, gpu_bytes=gpus)


def make_plan(
    image: ImageDescription,
    model: Model,
    options: SegmentOptions,
    *,
    workers: int = 1,
    memory_bytes: int = 0,
    gpu_bytes: tuple[int, ...] = (),
    machine_bytes: int = 0,
    inside_image: bool = False,
) -> SegmentPlan:
    """Choose level, channels, blocks, tiles and precision, where the options leave them open.

    Parameters
    ----------
    image : ImageDescription
    model : Model
    options : SegmentOptions
    workers : int
        Workers that share the memory of one machine.
    memory_bytes : int
        Memory that they share, if the options limit it no further; 0 for a default.
    gpu_bytes : tuple of int
        Memory of the GPU of each worker; empty without GPUs.
    machine_bytes : int
        Memory of the machine of the workers; 0 stands for what this process may use here.
    inside_image : bool
        Whether the outputs are labels inside the image, which have the levels of the image.

    Raises
    ------
    OptionError
        If level, channels, region, block or tile shape do not fit.
    """
    _refuse_labels(image)
    image = seen_along(image, model, options.slice_axis)
    level = resolve_level(image, model, options.level)
    roi = region_in_voxels(image, level, options.roi)
    region = region_box(image, level, roi)
    channels = _channels(image, model, options)
    precision = _precision(model, options)
    outputs = choose_outputs(model.description, options)
    check_probabilities(model, outputs)
    options = replace(
        options, level=level, roi=roi, channels=channels, precision=precision, outputs=outputs
    )
    if options.convolution == AUTO:
        # A run measures before it begins; all else computes directly.
        options = replace(options, convolution=DIRECT)
    size = scale_um(image, level)
    objects = choose_objects(
        model.description,
        options,
        ndim=model.ndim,
        voxel_size_um=None if size is None else size[-linked_ndim(options, model.ndim) :],
        axes=image.volume_axes,
    )
    model = _turned(image, model, level) if options.tta else model
    check_convolution(model.module, options.convolution)
    share = MemoryShare.of(
        options.memory_limit or memory_bytes, workers, gpu_bytes, machine_bytes=machine_bytes
    )
    blend = blend_tiling(model, options, image.volume_shape(level))
    field = model.receptive_field.with_leading_axes(region.ndim - model.ndim)
    field = field if blend is None else blend.field
    block, tile, slab = _shapes(
        image, model, options, field=field, region=region, share=share, workers=workers
    )
    if objects is not None and not options.no_table:
        _check_measurable(block[-linked_ndim(options, model.ndim) :])
    return SegmentPlan(
        image=image,
        model=model,
        options=replace(options, block_shape=block, tile_shape=tile[-model.ndim :], slab=slab),
        channels=channels,
        region=region,
        tiling=blend or Tiling(field, tile),
        share=share,
        layout=image_layout(image, block, model.ndim)
        if inside_image
        else own_layout(image, region.shape, block, model.ndim),
        selection=Selection.of(image, options, channels),
        objects=objects,
    )


def _shapes(
    image: ImageDescription,
    model: Model,
    options: SegmentOptions,
    *,
    field: ReceptiveField,
    region: Box,
    share: MemoryShare,
    workers: int,
) -> tuple[Point, Point, int]:
    """Shapes of blocks and of what each tile keeps, along the volume's axes, and the slab."""
    block_bytes = _block_bytes(image, model, options, field)
    slabs = slab_choices(model, options, on_gpu=share.on_gpus)
    deep = model.ndim == 3 and any(slabs) and not options.block_shape
    block = (
        deep_block_shape(
            region.shape,
            memory_bytes=block_bytes,
            limit_bytes=share.block_bytes,
            workers=workers,
        )
        if deep
        else block_shape(
            region.shape,
            model.ndim,
            options.block_shape,
            memory_bytes=block_bytes,
            limit_bytes=share.block_bytes,
        )
    )
    grid = BlockGrid(region, block)
    largest = grid.box((0,) * region.ndim)
    assert options.precision != "auto"
    tile, slab = tile_shape(
        model,
        field,
        largest,
        options.tile_shape,
        precision=options.precision,
        limit_bytes=share.pass_bytes(block_bytes(largest.shape), grid.num_blocks),
        slabs=slabs,
        on_gpu=share.on_gpus,
        dtype=np.dtype(image.level(options.chosen_level).dtype),
    )
    return block, tile, slab


def _check_measurable(block: Point) -> None:
    """Raise OptionError for blocks that are too large for exact sums; only a user asks for them."""
    if math.prod(block) >= MOST_VOXELS:
        raise OptionError(
            f"block shape {block}: objects are measured in blocks of less than 2^28 voxels; give "
            "a smaller block shape, or --no-table"
        )


def _refuse_labels(image: ImageDescription) -> None:
    """Raise ImageError if the voxels are numbers of classes or objects, not grey values."""
    if is_labels(image):
        raise ImageError(
            f"{image.url} holds labels, such as an output of bigunet, and no grey values: give the "
            "image that the labels belong to"
        )


def _channels(image: ImageDescription, model: Model, options: SegmentOptions) -> tuple[int, ...]:
    """The channels that the model reads; checks the number of grey ranges."""
    channels = choose_channels(image, model.description, options.channels)
    if len(options.grey_range) not in (0, 1, len(channels)):
        raise OptionError(
            f"{len(options.grey_range)} grey ranges for {len(channels)} channel(s): give one for "
            "all, or one each"
        )
    return channels


def _block_bytes(
    image: ImageDescription,
    model: Model,
    options: SegmentOptions,
    field: ReceptiveField,
) -> Callable[[Point], int]:
    """A function from a block's shape to the bytes of its pixels, halo included, and outputs."""
    pixel = np.dtype(image.level(options.chosen_level).dtype).itemsize * len(options.channels)
    output = output_bytes(model, [name for name in options.outputs if name not in MADE_OF_CLASSES])

    # While objects are labelled, one block may take all that a worker has for blocks and passes.
    objects = object_bytes(image, options.chosen_level) if "instances" in options.outputs else 0
    share = 2 * MOST_BLOCKS_IN_WORK

    def block_bytes(block: Point) -> int:
        segmented = math.prod(field.input_shape(block)) * pixel + math.prod(block) * output
        return max(segmented, math.prod(block) * objects // share)

    return block_bytes


def _precision(model: Model, options: SegmentOptions) -> Precision:
    """The precision of the options; ``auto`` is the fastest one of the hardware and the model."""
    if options.precision != "auto":
        return options.precision
    if is_winograd(options.convolution):
        return "fp32"
    # Workers on other machines may have another device; each refuses one that it lacks.
    there = options.device == "auto" or has_device(options.device)
    native = native_precision(device_of(options.device) if there else "cpu")
    return native if native in model.description.precisions else "fp32"


def _turned(image: ImageDescription, model: Model, level: int) -> Model:
    """The model averaged over the turns that keep the shape of a voxel."""
    height, width = image.volume_scale(level)[-2:]
    return turned(model, square=math.isclose(height, width, rel_tol=_SAME_SCALE))
