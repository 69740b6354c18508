"""The description of a multiscale image: its axes, levels and channels. It opens no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from bigunet.errors import ImageError, OptionError
from bigunet.io.images.channels import find_channel, shown
from bigunet.options.choices import SliceAxis

AxisType = Literal["time", "channel", "space"]

VOLUME_AXES = ("t", "z", "y", "x")
"""Names of the axes that a volume can have, in the order in which boxes have them."""

T = TypeVar("T")


def ordered_axes(names: Iterable[str], slice_axis: SliceAxis = "z") -> tuple[str, ...]:
    """Bring the axes of a volume into the order of its boxes: time, the slice axis, the others.

    The others are in the order z, y, x. A 2D network sees the last two axes.

    >>> ordered_axes("xyzt"), ordered_axes("xyzt", "x")
    (('t', 'z', 'y', 'x'), ('t', 'x', 'z', 'y'))
    """

    def place(name: str) -> tuple[bool, bool, int]:
        return (name != "t", name != slice_axis, VOLUME_AXES.index(name))

    return tuple(sorted(names, key=place))


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a stored image.

    Parameters
    ----------
    name : str
        One of ``t``, ``c``, ``z``, ``y``, ``x``; upper case is made lower.
    type : {"time", "channel", "space"}
    unit : str or None
        UDUNITS name such as ``"micrometer"``; None if the image states no unit.
    """

    name: str
    type: AxisType
    unit: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of an image. Every tuple has all axes, in storage order.

    Parameters
    ----------
    path : str
        Path of the array below the image; empty for a bare array.
    shape, chunks : tuple of int
    shards : tuple of int or None
        None if the array is not sharded.
    dtype : str
        Name of the numpy dtype of the voxels, without byte order.
    scale, translation : tuple of float
        Physical size of a voxel, and position of the centre of voxel 0, in the units of the axes.
    """

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    dtype: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ImageDescription:
    """An image at one or more resolutions, the largest first, whatever it is stored as.

    Parameters
    ----------
    url : str
        Address of the image: an absolute path, or a URL.
    name : str
    axes : tuple of Axis
        In storage order; always with ``y`` and ``x``.
    levels : tuple of Level
    channel_names : tuple of str
        One name for each channel; an empty name if the image does not name the channel.
    is_label : bool
        Whether the image has ``image-label`` metadata.
    is_rgb : bool
        Whether the channels are red, green and blue, with or without opacity.
    notes : tuple of str
        Lines for people about how the metadata were read.
    slice_axis : {"z", "y", "x"}
        The axis of space that comes first in boxes, and across which a 2D network sees planes. It
        changes the order of the volume's axes, and nothing that is stored.

    Raises
    ------
    ImageError
        If an axis occurs twice, if ``y`` or ``x`` is missing, or if the number of axes differs
        from the number of dimensions of a level.
    """

    url: str
    name: str
    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    channel_names: tuple[str, ...]
    is_label: bool
    is_rgb: bool = False
    notes: tuple[str, ...] = ()
    slice_axis: SliceAxis = "z"

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if len(set(names)) != len(names) or not {"y", "x"} <= set(names) <= set("tczyx"):
            raise ImageError(
                f"{self.url}: axes {names} are not y and x with any of t, c, z, each once"
            )
        if not self.levels:
            raise ImageError(f"{self.url}: the image has no levels")
        for level in self.levels:
            if len(level.shape) != len(names):
                raise ImageError(
                    f"{self.url}: {len(names)} axes {names}, but array {level.path!r} has "
                    f"{len(level.shape)} dimensions {level.shape}"
                )

    @property
    def channel_axis(self) -> int | None:
        """Position of the channel axis in storage order; None if there is no channel axis."""
        return next((k for k, axis in enumerate(self.axes) if axis.name == "c"), None)

    @property
    def num_channels(self) -> int:
        """Number of channels; 1 if there is no channel axis."""
        axis = self.channel_axis
        return 1 if axis is None else self.levels[0].shape[axis]

    @property
    def volume_axes(self) -> tuple[str, ...]:
        """Names of all axes except the channel, in the order of :func:`ordered_axes`."""
        return ordered_axes((axis.name for axis in self.axes if axis.name != "c"), self.slice_axis)

    @property
    def volume_order(self) -> tuple[int, ...]:
        """Position of each volume axis in storage order."""
        names = [axis.name for axis in self.axes]
        return tuple(names.index(name) for name in self.volume_axes)

    def level(self, level: int) -> Level:
        """Return the level of this index.

        Raises
        ------
        OptionError
            If the image has no such level.
        """
        if not 0 <= level < len(self.levels):
            valid = ", ".join(f"{k} {self.volume_shape(k)}" for k in range(len(self.levels)))
            raise OptionError(f"{self.url} has no level {level}; choose one of: {valid}")
        return self.levels[level]

    def volume_shape(self, level: int = 0) -> tuple[int, ...]:
        """Number of voxels along each volume axis."""
        return self._of_volume(self.level(level).shape)

    def volume_chunks(self, level: int = 0) -> tuple[int, ...]:
        """Shape of a chunk along each volume axis; in a sharded array, of a chunk in a shard."""
        return self._of_volume(self.level(level).chunks)

    def volume_scale(self, level: int = 0) -> tuple[float, ...]:
        """Physical size of a voxel along each volume axis."""
        return self._of_volume(self.level(level).scale)

    def volume_translation(self, level: int = 0) -> tuple[float, ...]:
        """Physical position of the centre of voxel 0 along each volume axis."""
        return self._of_volume(self.level(level).translation)

    def unit(self, axis: str) -> str | None:
        """Return the unit of the axis of this name; None if the image states no unit.

        Raises
        ------
        OptionError
            If the image has no such axis.
        """
        for known in self.axes:
            if known.name == axis.lower():
                return known.unit
        names = ", ".join(known.name for known in self.axes)
        raise OptionError(f"{self.url} has no axis {axis!r}; its axes are {names}")

    @property
    def states_places(self) -> bool:
        """Whether scale and translation are known, not taken as 1 and 0."""
        return all(axis.unit is not None for axis in self.axes if axis.type == "space")

    @property
    def shown_channels(self) -> tuple[str, ...]:
        """What people see of each channel: its name, or its index if it has no name."""
        return tuple(shown(self.channel_names, k) for k in range(len(self.channel_names)))

    def channel_index(self, channel: str | int) -> int:
        """Index of the channel that a user names.

        A whole number is an index. Text is ``index:1``, ``name:DAPI``, a name, or an index.

        Raises
        ------
        OptionError
            If there is no such channel, if several channels have this name, or if the text is the
            name of one channel and the index of another.
        """
        return find_channel(self.channel_names, channel, self.url)

    def _of_volume(self, stored: Sequence[T]) -> tuple[T, ...]:
        return tuple(stored[k] for k in self.volume_order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiscale(ImageDescription):
    """An OME-Zarr image, or a bare zarr array.

    Parameters
    ----------
    version : str
        OME-Zarr version, ``"0.1"`` to ``"0.6"``; empty for a bare array.
    zarr_format : int
        2 or 3.
    """

    version: str
    zarr_format: int

    @property
    def states_places(self) -> bool:
        """Whether there are OME-Zarr metadata with scale and translation."""
        return bool(self.version)
