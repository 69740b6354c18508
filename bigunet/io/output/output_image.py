"""The description of an output: names and numbers only, so that tasks can carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from bigunet.errors import GeometryError, OutputError
from bigunet.io.images.multiscale import VOLUME_AXES, Axis, ordered_axes
from bigunet.io.output.layout import PyramidLayout
from bigunet.io.output.pyramid import level_scale
from bigunet.options.choices import OmeVersion, SliceAxis

T = TypeVar("T")
Placement = tuple[tuple[float, ...], tuple[float, ...]]
"""Scale and translation of a level."""


@dataclass(frozen=True, slots=True)
class OutputClass:
    """One class of a segmentation. Its number is its index in `OutputImage.classes`.

    Parameters
    ----------
    name : str
    rgba : tuple of four int
        Colour and opacity, 0 to 255.
    """

    name: str
    rgba: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class OutputChannel:
    """How viewers show a channel of an image.

    Parameters
    ----------
    name : str
        Empty for a channel without a name.
    colour : str
        Six hexadecimal digits: red, green, blue.
    window : (float, float), optional
        The grey values that are drawn as black and as the colour.
    """

    name: str
    colour: str
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class OutputImage:
    """Description of a multiscale image that bigunet writes.

    Parameters
    ----------
    store : str
        Local path of the root group.
    group : str
        Group of the image below the root, such as ``"labels/classes"`` or ``"probabilities"``.
    kind : {"label", "image"}
        Labels are downsampled by mode, images by mean.
    dtype : str
    axes : tuple of Axis
        Axes in the order of storage, which may be any order. An image may have one axis of type
        ``"channel"``.
    layout : PyramidLayout
        In canonical axes: t, z, y, x as far as the image has them, without the channel, and with
        the slice axis before the others of space.
    num_channels : int
        1 if there is no channel axis.
    scale, translation : tuple of float
        Scale and translation of level 0, in canonical axes. Those of the other levels follow from
        them, unless ``placements`` states them.
    version : {"0.4", "0.5", "0.6"}
        0.5 and 0.6 are written as zarr 3 with shards, 0.4 as zarr 2 with one file for each chunk.
    classes : tuple of OutputClass
        For a label, names and colours of the values 0, 1, …; for an image, of its channels. Empty
        if there are no classes, as for instances.
    placements : tuple of Placement
        Scale and translation of each level, in canonical axes, if another image states them; else
        empty.
    window : (float, float), optional
        For an image of one channel: the grey values that viewers draw as black and white.
    channels : tuple of OutputChannel
        For an image without classes: how viewers show each channel; else empty.
    by_majority : bool
        Whether an image is downsampled by mode, too, because its voxels number something.
    slice_axis : {"z", "y", "x"}
        As in :class:`bigunet.io.images.multiscale.ImageDescription`.

    Raises
    ------
    OutputError
        If two values contradict each other, or a value contradicts OME-Zarr.
    """

    store: str
    group: str
    kind: Literal["label", "image"]
    dtype: str
    axes: tuple[Axis, ...]
    layout: PyramidLayout
    num_channels: int
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    version: OmeVersion
    classes: tuple[OutputClass, ...] = ()
    placements: tuple[Placement, ...] = ()
    window: tuple[float, float] | None = None
    channels: tuple[OutputChannel, ...] = ()
    by_majority: bool = False
    slice_axis: SliceAxis = "z"

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        volume = [axis.name for axis in self.axes if axis.type != "channel"]
        if not set(volume) <= set(VOLUME_AXES) or len(set(names)) < len(names):
            raise OutputError(f"axes {names} of {self.group}: use each of t, z, y, x at most once")
        if not len(volume) == len(self.layout.shape) == len(self.scale) == len(self.translation):
            raise OutputError(
                f"{self.group} has axes {names}, shape {self.layout.shape}, scale {self.scale} and "
                f"translation {self.translation}: give one value per axis, channels left out"
            )
        num_channel_axes = len(names) - len(volume)
        if num_channel_axes > (self.kind == "image") or self.num_channels > 1 > num_channel_axes:
            raise OutputError(
                f"{self.kind} {self.group} of {self.num_channels} channels has axes {names}: "
                "several channels need one channel axis, and labels have none"
            )
        if len(self.placements) not in (0, len(self.layout.levels)):
            raise OutputError(
                f"{self.group} has {len(self.layout.levels)} levels and {len(self.placements)} "
                "placements: give one for each level or none"
            )
        if self.kind == "label" and not np.issubdtype(self.dtype, np.integer):
            raise OutputError(f"labels {self.group} of dtype {self.dtype}: use an integer dtype")
        if self.kind == "label" and not self.group.startswith("labels/"):
            raise OutputError(f"labels in group {self.group!r}: name it 'labels/NAME'")
        if self.kind == "image" and len(self.classes) not in (0, self.num_channels):
            raise OutputError(
                f"{self.group} has {self.num_channels} channels and {len(self.classes)} classes: "
                "name every channel or none"
            )
        if len(self.channels) not in (0, self.num_channels):
            raise OutputError(
                f"{self.group} has {self.num_channels} channels, and {len(self.channels)} of them "
                "are described: describe every channel or none"
            )

    @property
    def name(self) -> str:
        """Last part of the path of the group; for the root, the store's name without suffixes."""
        return self.group.rpartition("/")[2] or Path(self.store).name.partition(".")[0]

    @property
    def is_sharded(self) -> bool:
        """Whether it is zarr 3, with shards; else it is zarr 2."""
        return self.version != "0.4"

    @property
    def is_halved_by_mode(self) -> bool:
        """Whether levels take the most frequent value; else they take the mean."""
        return self.kind == "label" or self.by_majority

    def level_path(self, level: int) -> str:
        """Path of the array of a level, below the root."""
        return f"{self.group}/{level}" if self.group else str(level)

    @property
    def has_channels(self) -> bool:
        return any(axis.type == "channel" for axis in self.axes)

    @property
    def canonical_names(self) -> tuple[str, ...]:
        """Names of the axes without the channel, in the order of boxes."""
        names = (axis.name for axis in self.axes if axis.type != "channel")
        return ordered_axes(names, self.slice_axis)

    def placement(self, level: int) -> Placement:
        """Scale and translation of a level, in canonical axes."""
        if self.placements:
            return self.placements[level]
        return level_scale(self.scale, self.translation, self.layout.levels[level].factor)

    @property
    def storage_order(self) -> tuple[int, ...]:
        """Index of each stored axis in (channel, t, z, y, x), as ``transpose`` takes it."""
        places = tuple(range(self.has_channels, self.has_channels + len(self.layout.shape)))
        return self.as_stored(places, channel=0)

    def as_stored(self, per_axis: Sequence[T], *, channel: T) -> tuple[T, ...]:
        """Put values of the canonical axes into the order of storage, and insert the channel's.

        Raises
        ------
        GeometryError
            If ``per_axis`` does not have one value for each canonical axis.
        """
        names = self.canonical_names
        if len(per_axis) != len(names):
            raise GeometryError(f"{per_axis} does not have one value for each axis of {names}")
        value_of = dict(zip(names, per_axis))
        return tuple(
            channel if axis.type == "channel" else value_of[axis.name] for axis in self.axes
        )
