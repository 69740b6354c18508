"""What an output is and what its OME-Zarr metadata say: owns the description, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from bigunet.errors import GeometryError, OutputError
from bigunet.io.images.multiscale import VOLUME_AXES, Axis
from bigunet.io.output.layout import PyramidLayout
from bigunet.io.output.pyramid import level_scale

T = TypeVar("T")
Attributes = dict[str, Any]
Placement = tuple[tuple[float, ...], tuple[float, ...]]
"""Scale and translation of a level."""

PROVENANCE_KEY = "bigunet"
_WHITE = "FFFFFF"


@dataclass(frozen=True, slots=True)
class OutputClass:
    """One class of a segmentation: its number is its place in `OutputImage.classes`.

    Parameters
    ----------
    name : str
    rgba : tuple of four int
        Colour and opacity, 0 to 255.
    """

    name: str
    rgba: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class OutputImage:
    """A multiscale image to be written: names and numbers only, so that tasks can carry it.

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
        As stored, in any order; an image may have one axis of type ``"channel"``.
    layout : PyramidLayout
        Canonical: t, z, y, x as far as the image has them, without the channel.
    num_channels : int
        1 when there is no channel axis.
    scale, translation : tuple of float
        Of level 0, in canonical axes; of the others they follow, unless ``placements`` say them.
    version : {"0.4", "0.5"}
        0.5 is written as zarr 3 with shards, 0.4 as zarr 2 with one file per chunk.
    classes : tuple of OutputClass
        Of a label: names and colours of the values 0, 1, …; of an image: of its channels. Empty
        where there are none, as for instances.
    placements : tuple of Placement
        Scale and translation of every level where another image states them; else empty.
    window : (float, float), optional
        Of an image of one channel: grey values that viewers draw black and white.

    Raises
    ------
    OutputError
        If the description contradicts itself or OME-Zarr.
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
    version: Literal["0.4", "0.5"]
    classes: tuple[OutputClass, ...] = ()
    placements: tuple[Placement, ...] = ()
    window: tuple[float, float] | None = None

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
                "several channels want one channel axis, and labels have none"
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

    @property
    def name(self) -> str:
        """Last part of the group's path; of the root, the store's name without its suffixes."""
        return self.group.rpartition("/")[2] or Path(self.store).name.partition(".")[0]

    @property
    def has_channels(self) -> bool:
        return any(axis.type == "channel" for axis in self.axes)

    @property
    def canonical_names(self) -> tuple[str, ...]:
        """Names of the axes without the channel, in the order t, z, y, x."""
        names = [axis.name for axis in self.axes if axis.type != "channel"]
        return tuple(sorted(names, key=VOLUME_AXES.index))

    def placement(self, level: int) -> Placement:
        """Scale and translation of a level, in canonical axes."""
        if self.placements:
            return self.placements[level]
        return level_scale(self.scale, self.translation, self.layout.levels[level].factor)

    @property
    def storage_order(self) -> tuple[int, ...]:
        """For each stored axis, its place in (channel, t, z, y, x): what ``transpose`` takes."""
        places = tuple(range(self.has_channels, self.has_channels + len(self.layout.shape)))
        return self.as_stored(places, channel=0)

    def as_stored(self, per_axis: Sequence[T], *, channel: T) -> tuple[T, ...]:
        """One value per canonical axis, in the order of storage, with the channel's put in.

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


def group_attributes(output: OutputImage, *, inside_image: bool) -> Attributes:
    """Attributes of the output's own group; ``inside_image`` when the root is its source."""
    content: Attributes = {"multiscales": [_multiscales(output, "")]}
    if output.kind == "image":
        content |= _channels(output)
    else:
        content["image-label"] = _image_label(output, inside_image=inside_image)
    return _versioned(content, output.version)


def root_attributes(output: OutputImage, provenance: Mapping[str, Any]) -> Attributes:
    """Attributes of the root, which show ``output`` to viewers that open the root.

    There is no ``image-label`` here: a viewer would look for its source image outside the root.
    Viewers draw the root as an image of grey values, so it has a window of the values that occur.
    """
    prefix = f"{output.group}/" if output.group else ""
    content: Attributes = {"multiscales": [_multiscales(output, prefix)]}
    content |= _channels(output) if output.kind == "image" else _label_as_image(output)
    return provenance_attributes(provenance) | _versioned(content, output.version)


def labels_attributes(
    existing: Mapping[str, Any],
    names: Sequence[str],
    version: Literal["0.4", "0.5"],
    *,
    without: Sequence[str] = (),
) -> Attributes:
    """Attributes of the group ``labels``: its own, with ``names`` listed and others not."""
    content = dict(existing.get("ome", {}) if version == "0.5" else existing)
    listed = dict.fromkeys([*content.get("labels", []), *names])
    content["labels"] = [name for name in listed if name not in without]
    return _versioned(content, version)


def provenance_attributes(provenance: Mapping[str, Any]) -> Attributes:
    """How the output was made, under bigunet's own key."""
    return {PROVENANCE_KEY: dict(provenance)}


def is_published(attributes: Mapping[str, Any]) -> bool:
    """Whether these are a group's attributes after bigunet finished writing it."""
    content = attributes.get("ome", attributes)
    return PROVENANCE_KEY in attributes and "multiscales" in content


def is_listed(labels: Mapping[str, Any], name: str) -> bool:
    """Whether these attributes of the group ``labels`` name this label."""
    return name in labels.get("ome", labels).get("labels", [])


def _versioned(content: Attributes, version: Literal["0.4", "0.5"]) -> Attributes:
    return {"ome": content | {"version": "0.5"}} if version == "0.5" else content


def _multiscales(output: OutputImage, prefix: str) -> Attributes:
    datasets = []
    for number in range(len(output.layout.levels)):
        scale, translation = output.placement(number)
        stored_scale = output.as_stored(scale, channel=1.0)
        stored_translation = output.as_stored(translation, channel=0.0)
        transformations = [
            {"type": "scale", "scale": list(stored_scale)},
            {"type": "translation", "translation": list(stored_translation)},
        ]
        datasets.append({"path": f"{prefix}{number}", "coordinateTransformations": transformations})
    multiscales: Attributes = {
        "name": output.name,
        "axes": [_axis(axis) for axis in output.axes],
        "datasets": datasets,
        "type": "mode" if output.kind == "label" else "mean",
    }
    return multiscales | ({"version": "0.4"} if output.version == "0.4" else {})


def _axis(axis: Axis) -> Attributes:
    unit = {} if axis.unit is None else {"unit": axis.unit}
    return {"name": axis.name, "type": axis.type} | unit


def _image_label(output: OutputImage, *, inside_image: bool) -> Attributes:
    label: Attributes = {"version": output.version}
    if output.classes:
        numbered = list(enumerate(output.classes))
        label["colors"] = [{"label-value": n, "rgba": _label_color(n, c)} for n, c in numbered]
        label["properties"] = [{"label-value": n, "class": c.name} for n, c in numbered]
    if inside_image:
        label["source"] = {"image": "../../"}
    return label


def _label_color(value: int, of: OutputClass) -> list[int]:
    """Colour of a label's value; that of 0, the background, lets the image below shine through."""
    return [*of.rgba[:3], of.rgba[3] if value else 0]


def _channels(output: OutputImage) -> Attributes:
    """How viewers draw the channels: one for each class, the background's off, or one of greys."""
    dtype = np.dtype(output.dtype)
    top = int(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1
    channels: list[Attributes] = []
    if output.classes and output.has_channels:
        for number, of in enumerate(output.classes):
            channels.append(_channel(of.name, _hex(of), top, (0, top), active=number > 0))
    elif output.window is not None and output.num_channels == 1:
        channels.append(_channel(output.name, _WHITE, top, output.window))
    return {"omero": {"channels": channels}} if channels else {}


def _label_as_image(output: OutputImage) -> Attributes:
    """How viewers draw a label that they take for an image of one channel.

    A channel has one colour: that of the only class beside the background, if there is one and
    it is not black; else white, and the classes are shades of grey.
    """
    if not output.classes:
        return {}
    foreground = output.classes[1:]
    color = _hex(foreground[0]) if len(foreground) == 1 and any(foreground[0].rgba[:3]) else _WHITE
    top = max(1, len(output.classes) - 1)
    return {"omero": {"channels": [_channel(output.name, color, top, (0, top))]}}


def _channel(
    label: str, color: str, top: float, shown: tuple[float, float], *, active: bool = True
) -> Attributes:
    window = {"min": 0, "max": top, "start": shown[0], "end": shown[1]}
    return {"label": label, "color": color, "active": active, "window": window}


def _hex(of: OutputClass) -> str:
    return "".join(f"{value:02X}" for value in of.rgba[:3])
