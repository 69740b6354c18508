"""The OME-Zarr attributes of an output, as JSON; nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bigunet.io.images.multiscale import Axis
from bigunet.io.output.output_image import OutputClass, OutputImage
from bigunet.options.choices import OmeVersion

Attributes = dict[str, Any]

PROVENANCE_KEY = "bigunet"
_WHITE = "FFFFFF"
_INTRINSIC = "intrinsic"
"""Name of the coordinate system of an image, as other writers call it."""


def group_attributes(output: OutputImage, *, inside_image: bool) -> Attributes:
    """Attributes of the group of an output.

    Parameters
    ----------
    output : OutputImage
    inside_image : bool
        Whether the store is the image that was segmented. Labels then name it as their source.
    """
    content: Attributes = {"multiscales": [_multiscales(output, "")]}
    if output.kind == "image":
        content |= _channels(output)
    else:
        content["image-label"] = _image_label(output, inside_image=inside_image)
    return _versioned(content, output.version)


def root_attributes(output: OutputImage, provenance: Mapping[str, Any]) -> Attributes:
    """Attributes of the root, which show ``output`` in viewers that open the root.

    The root has no ``image-label``, because a viewer would look for the source image outside the
    root. Viewers draw the root as a grey image, so it has a window with the values that occur.
    """
    prefix = f"{output.group}/" if output.group else ""
    content: Attributes = {"multiscales": [_multiscales(output, prefix)]}
    content |= _channels(output) if output.kind == "image" else _label_as_image(output)
    return provenance_attributes(provenance) | _versioned(content, output.version)


def labels_attributes(
    existing: Mapping[str, Any],
    names: Sequence[str],
    version: OmeVersion,
    *,
    without: Sequence[str] = (),
) -> Attributes:
    """Attributes of the group ``labels``, with changes to its list of labels.

    Parameters
    ----------
    existing : mapping
        The attributes that the group has now.
    names : sequence of str
        Labels to add to the list.
    version : {"0.4", "0.5", "0.6"}
    without : sequence of str
        Labels to remove from the list.
    """
    content = dict(existing.get("ome", {}) if version != "0.4" else existing)
    listed = dict.fromkeys([*content.get("labels", []), *names])
    content["labels"] = [name for name in listed if name not in without]
    return _versioned(content, version)


def provenance_attributes(provenance: Mapping[str, Any]) -> Attributes:
    """The provenance of an output, under the key of bigunet."""
    return {PROVENANCE_KEY: dict(provenance)}


def is_published(attributes: Mapping[str, Any]) -> bool:
    """Whether these are the attributes of a group that bigunet has published."""
    content = attributes.get("ome", attributes)
    return PROVENANCE_KEY in attributes and "multiscales" in content


def is_listed(labels: Mapping[str, Any], name: str) -> bool:
    """Whether these attributes of the group ``labels`` list this label."""
    return name in labels.get("ome", labels).get("labels", [])


def _versioned(content: Attributes, version: OmeVersion) -> Attributes:
    return content if version == "0.4" else {"ome": content | {"version": version}}


def _multiscales(output: OutputImage, prefix: str) -> Attributes:
    paths = [f"{prefix}{number}" for number in range(len(output.layout.levels))]
    datasets = [_dataset(output, number, path) for number, path in enumerate(paths)]
    axes = [_axis(axis) for axis in output.axes]
    multiscales: Attributes = {
        "name": output.name,
        **(_systems(axes) if output.version == "0.6" else {"axes": axes}),
        "datasets": datasets,
        "type": "mode" if output.is_halved_by_mode else "mean",
    }
    return multiscales | ({"version": "0.4"} if output.version == "0.4" else {})


def _dataset(output: OutputImage, number: int, path: str) -> Attributes:
    """A level: its path, and how its voxels map to places."""
    scale, translation = output.placement(number)
    steps: list[Attributes] = [
        {"type": "scale", "scale": list(output.as_stored(scale, channel=1.0))},
        {"type": "translation", "translation": list(output.as_stored(translation, channel=0.0))},
    ]
    if output.version == "0.6":
        ends = {"input": {"path": path}, "output": {"name": _INTRINSIC}}
        steps = [{"type": "sequence", **ends, "transformations": steps}]
    return {"path": path, "coordinateTransformations": steps}


def _systems(axes: list[Attributes]) -> Attributes:
    """What OME-Zarr 0.6 has instead of axes, and a key that its strict form asks for."""
    return {
        "coordinateSystems": [{"name": _INTRINSIC, "axes": axes}],
        "metadata": {"method": "bigunet", "description": "cells of 2 voxels per halved axis"},
    }


def _axis(axis: Axis) -> Attributes:
    unit = {} if axis.unit is None else {"unit": axis.unit}
    return {"name": axis.name, "type": axis.type} | unit


def _image_label(output: OutputImage, *, inside_image: bool) -> Attributes:
    # From 0.6 on, the version stands once, beside this object.
    label: Attributes = {} if output.version == "0.6" else {"version": output.version}
    if output.classes:
        numbered = list(enumerate(output.classes))
        label["colors"] = [{"label-value": n, "rgba": _label_color(n, c)} for n, c in numbered]
        label["properties"] = [{"label-value": n, "class": c.name} for n, c in numbered]
    if inside_image:
        label["source"] = {"image": "../../"}
    return label


def _label_color(value: int, of: OutputClass) -> list[int]:
    """Colour of a value of a label; 0, the background, is transparent."""
    return [*of.rgba[:3], of.rgba[3] if value else 0]


def _channels(output: OutputImage) -> Attributes:
    """How viewers draw the channels of an image.

    With classes, each channel has the colour of its class, and the background is hidden. Without
    classes, a single channel is grey, unless the output says how each is shown.
    """
    dtype = np.dtype(output.dtype)
    top = int(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1
    channels: list[Attributes] = []
    for one in output.channels:
        channels.append(_channel(one.name, one.colour, top, one.window or (0, top)))
    if output.classes and output.has_channels:
        for number, of in enumerate(output.classes):
            channels.append(_channel(of.name, _hex(of), top, (0, top), active=number > 0))
    elif output.window is not None and output.num_channels == 1:
        channels.append(_channel(output.name, _WHITE, top, output.window))
    return {"omero": {"channels": channels}} if channels else {}


def _label_as_image(output: OutputImage) -> Attributes:
    """How viewers draw a label that they take as an image of one channel.

    A channel has one colour. With two classes, it is the colour of the second class, unless that
    is black. Otherwise it is white, so that the classes are shades of grey.
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
    window = {"min": min(0, shown[0]), "max": max(top, shown[1])} | {
        "start": shown[0],
        "end": shown[1],
    }
    return {"label": label, "color": color, "active": active, "window": window}


def _hex(of: OutputClass) -> str:
    return "".join(f"{value:02X}" for value in of.rgba[:3])
