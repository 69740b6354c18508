"""From image and options to numbers: levels, shards and blocks of the output; nothing is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.conversion.convert_options import ConvertOptions
from bigunet.errors import OptionError
from bigunet.geometry import Box, Point
from bigunet.io.images.channels import is_real
from bigunet.io.images.multiscale import Axis, ImageDescription
from bigunet.io.images.units import to_um
from bigunet.io.output.extents import chunk_limit, default_block_shape, halved_block_shape
from bigunet.io.output.layout import PyramidLayout, plan_pyramid
from bigunet.io.output.output_image import OutputChannel, OutputImage
from bigunet.segmentation.place import Place

_BLOCK_BYTES = 64 * 2**20
"""Bytes of all channels of a block; a thread holds a block, and its parts while they are packed."""
_SMALLEST_LEVEL = 512
"""The last level is the first one that is no longer than this along y and x."""
_ISOTROPIC = 1.5
"""z is halved, too, where a voxel is not longer along z than this many times its height."""
_COLOURS = ("FF0000", "00FF00", "0000FF")
# In another order than red, green and blue: these are no colours of a camera.
_PALETTE = ("00FFFF", "FF00FF", "FFFF00", "00FF00", "FF0000", "0000FF")
_WHITE = "FFFFFF"


@dataclass(frozen=True)
class ConvertPlan:
    """What a conversion would do.

    Parameters
    ----------
    image : ImageDescription
    options : ConvertOptions
    output : OutputImage
        Without the grey values that viewers show, which are known at the end.
    """

    image: ImageDescription
    options: ConvertOptions
    output: OutputImage

    @classmethod
    def of(cls, image: ImageDescription, place: Place, options: ConvertOptions) -> ConvertPlan:
        """Plan a conversion of level 0 of an image.

        Raises
        ------
        OptionError
            If the voxels cannot be labels, and the options say that they are.
        """
        dtype = np.dtype(image.levels[0].dtype)
        if options.labels and dtype.kind not in "iub":
            raise OptionError(f"labels: {image.url} has {dtype} voxels, which number nothing")
        kept = (axis for axis in image.axes if axis.name != "c")
        axes = tuple(sorted(kept, key=lambda axis: "tzyx".index(axis.name)))
        has_channels = image.channel_axis is not None
        output = OutputImage(
            store=place.store,
            group="",
            kind="image",
            dtype=dtype.name,
            axes=_with_channel(axes) if has_channels else axes,
            layout=_layout(image, dtype),
            num_channels=image.num_channels,
            scale=image.volume_scale(),
            translation=image.volume_translation(),
            version=place.version,
            channels=_channels(image),
            by_majority=options.labels or dtype.kind == "b",
        )
        return cls(image, options, output)

    @property
    def layout(self) -> PyramidLayout:
        """The levels of the output."""
        return self.output.layout

    def grid(self, group: int = 0) -> BlockGrid:
        """Blocks of a group of levels."""
        shape = self.layout.levels[self.layout.groups[group][0]].shape
        return BlockGrid(Box.of_shape(shape), self.layout.block_shape(group))


def _layout(image: ImageDescription, dtype: np.dtype[np.generic]) -> PyramidLayout:
    shape = image.volume_shape()
    is_stack = "z" in image.volume_axes and image.volume_chunks()[-3] > 1
    # Files that hold planes are copied in planes, which are then decoded once.
    ndim = 3 if is_stack else 2
    voxel_bytes = dtype.itemsize * image.num_channels
    block = default_block_shape(shape, network_ndim=ndim)
    while math.prod(block) * voxel_bytes > _BLOCK_BYTES:
        halved = halved_block_shape(block, network_ndim=ndim)
        if halved == block:
            break
        block = halved
    downsampled = tuple(_is_halved(image, axis) for axis in image.volume_axes)
    limit = chunk_limit(ndim, len(shape))
    return plan_pyramid(
        shape, block, downsampled=downsampled, chunk_limit=limit, smallest=_SMALLEST_LEVEL
    )


def _is_halved(image: ImageDescription, axis: str) -> bool:
    if axis != "z":
        return axis != "t"
    sizes = dict(zip(image.volume_axes, image.volume_scale()))
    units = to_um(image.unit("z")), to_um(image.unit("y"))
    known = units[0] is not None and units[0] == units[1]
    return known and sizes["z"] <= _ISOTROPIC * sizes["y"]


def _channels(image: ImageDescription) -> tuple[OutputChannel, ...]:
    names = image.channel_names
    if image.is_rgb and len(names) == len(_COLOURS):
        return tuple(OutputChannel(n, c) for n, c in zip(("red", "green", "blue"), _COLOURS))
    if len(names) == 1:
        return (OutputChannel(names[0] if is_real(names[0]) else "", _WHITE),)
    colours = (_PALETTE[k % len(_PALETTE)] for k in range(len(names)))
    return tuple(OutputChannel(name, colour) for name, colour in zip(names, colours))


def _with_channel(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    after = sum(axis.type == "time" for axis in axes)
    return (*axes[:after], Axis("c", "channel"), *axes[after:])


def shapes_of(layout: PyramidLayout) -> list[Point]:
    """Shape of each level."""
    return [level.shape for level in layout.levels]
