"""From a scene to the state of neuroglancer's page, as JSON; no server, no voxel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from bigunet.io.images.multiscale import ImageDescription
from bigunet.viewing.position import voxel_at
from bigunet.viewing.scene import ChannelLook, GreyLayer, LabelLayer, Scene
from bigunet.viewing.scene_middle import middle_of
from bigunet.viewing.zarr_view import physical_unit

State = dict[str, Any]
Address = Callable[[str], str]
"""The URL of the bytes of a layer's name."""

_SCREEN = (900.0, 650.0)
"""Pixels that the image fills at first, along x and y."""
_GREY = """#uicontrol invlerp normalized
#uicontrol vec3 color color(default="#{colour}")
void main() {{ emitRGB(color * normalized()); }}
"""
_COLOURS = "void main() { emitRGB(vec3(toNormalized(getDataValue(0)), \
toNormalized(getDataValue(1)), toNormalized(getDataValue(2)))); }\n"
_SHARE = """#uicontrol invlerp normalized
#uicontrol vec3 color color(default="#{colour}")
void main() {{ emitRGBA(vec4(color, normalized())); }}
"""
_OPACITY = 0.35


def state_of(scene: Scene, address: Address, position: Mapping[str, int]) -> State:
    """The state that shows a scene: the whole plane, or the voxels around a position.

    Raises
    ------
    OptionError
        If there is no such position.
    """
    image = scene.main
    voxel = voxel_at(image, middle_of(scene) | dict(position))
    is_near = bool({"y", "x"} & set(position))
    shown = [axis for axis in ("x", "y", "z") if axis in image.volume_axes]
    flat = "z" not in shown or _extent(image, "z") == 1
    return {
        "title": f"bigunet: {scene.title}",
        "dimensions": {axis: list(_dimension(image, axis)) for axis in _axes(image)},
        "displayDimensions": shown,
        "position": [_place(image, axis, voxel[axis]) for axis in _axes(image)],
        "crossSectionScale": 1.0 if is_near else _zoom(scene, tuple(shown), 1.0 if flat else 0.5),
        "projectionScale": _zoom(scene, tuple(shown), 1.0) * _SCREEN[1],
        "layout": "xy" if flat else "4panel",
        "showAxisLines": False,
        # A panel that follows the pointer, with all that is known of the place below it.
        "selection": {},
        "layers": layers_of(scene, address),
    }


def layers_of(scene: Scene, address: Address) -> list[State]:
    """The layers of a scene, from the image to the labels over it."""
    grey = [] if scene.grey is None else grey_layers(scene.grey, address)
    return grey + _written_layers(scene, address)


def renewed_state(state: State, before: Scene, scene: Scene, address: Address) -> State:
    """A state with the labels and probabilities of a scene at new addresses.

    What the user has chosen stays: which layers are visible, where the middle is, and what was
    removed. Layers that the scene did not have before are added.
    """
    old = {layer["name"] for layer in _written_layers(before, address)}
    new = {layer["name"]: layer for layer in _written_layers(scene, address)}
    layers = []
    for layer in state.get("layers", ()):
        fresh = new.get(layer["name"], {}) if layer["name"] in old else {}
        changed = {key: fresh[key] for key in ("source", "segmentColors") if key in fresh}
        layers.append(layer | changed)
    added = [layer for name, layer in new.items() if name not in old]
    return state | {"layers": layers + added}


def _written_layers(scene: Scene, address: Address) -> list[State]:
    """The layers that a run writes."""
    shares = scene.probabilities
    layers = [] if shares is None else probability_layers(shares, address)
    return layers + [label_layer(layer, address) for layer in scene.labels]


def grey_layers(layer: GreyLayer, address: Address) -> list[State]:
    """A layer for each channel, added like light; one layer where the channels are colours."""
    if not layer.looks:
        return [_image(layer.image.name or "image", address(grey_name(None)), _COLOURS)]
    names = _distinct([look.name for look in layer.looks])
    return [
        _image(name, address(grey_name(k)), _GREY.format(colour=look.colour), look)
        | {"blend": "additive", "opacity": 1, "visible": look.shown}
        for k, (name, look) in enumerate(zip(names, layer.looks))
    ]


def probability_layers(layer: GreyLayer, address: Address) -> list[State]:
    """A hidden layer for each class, the more opaque the more probable."""
    return [
        _image(
            f"P({look.name})", address(probability_name(k)), _SHARE.format(colour=look.colour), look
        )
        | {"opacity": 0.6, "visible": False}
        for k, look in enumerate(layer.looks)
    ]


def label_layer(layer: LabelLayer, address: Address) -> State:
    """The layer of a label image; hovering shows what is known of an object."""
    name = label_name(layer.name)
    sources: list[Any] = [f"zarr3://{address(name)}/"]
    if layer.values or layer.table is not None:
        sources.append(f"precomputed://{address(properties_name(name))}")
    colours = {str(k): f"#{look.colour}" for k, look in layer.values.items() if k}
    return {
        "type": "segmentation",
        "name": layer.name,
        "source": sources,
        "selectedAlpha": _OPACITY,
        "notSelectedAlpha": _OPACITY / 4,
        "tab": "segments",
    } | ({"segmentColors": colours} if colours else {})


def grey_name(channel: int | None) -> str:
    """The name under which a channel of the image is served, or all its colours together."""
    return "image" if channel is None else f"image-{channel}"


def probability_name(channel: int) -> str:
    """The name under which the probabilities of a class are served."""
    return f"probability-{channel}"


def label_name(name: str) -> str:
    """The name under which a label image is served; no two labels have the same."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
    # Other letters have no place in a URL, and many names would lose all of theirs.
    whole = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"labels-{plain}" if plain == name else f"labels-{plain}-{whole[:16]}"


def properties_name(label: str) -> str:
    """The name under which the properties of the segments of a label image are served."""
    return f"{label}-properties"


def _image(name: str, url: str, shader: str, look: ChannelLook | None = None) -> State:
    state: State = {"type": "image", "name": name, "source": f"zarr3://{url}/", "shader": shader}
    if look is not None:
        state["shaderControls"] = {"normalized": {"range": list(look.window)}}
    return state


def _axes(image: ImageDescription) -> list[str]:
    return [axis for axis in ("x", "y", "z", "t") if axis in image.volume_axes]


def _dimension(image: ImageDescription, axis: str) -> tuple[float, str]:
    factor, unit = physical_unit(image, axis)
    return _size(image, axis) * factor, unit


def _size(image: ImageDescription, axis: str) -> float:
    return image.volume_scale()[image.volume_axes.index(axis)]


def _extent(image: ImageDescription, axis: str) -> int:
    return image.volume_shape()[image.volume_axes.index(axis)]


def _place(image: ImageDescription, axis: str, voxel: int) -> float:
    """The centre of a voxel, in voxels from the origin of space."""
    number = image.volume_axes.index(axis)
    return image.volume_translation()[number] / image.volume_scale()[number] + voxel


def _zoom(scene: Scene, axes: tuple[str, ...], share: float) -> float:
    """Voxels of the image per pixel of the screen, in the smallest voxel's length."""
    image, seen = scene.main, scene.part or scene.main
    smallest = min(_dimension(image, axis)[0] for axis in _axes(image) if axis != "t")
    room = {"x": _SCREEN[0], "y": _SCREEN[1], "z": _SCREEN[1]}
    lengths = {a: _extent(seen, a) * _dimension(seen, a)[0] for a in axes if a in _axes(seen)}
    return max(length / smallest / (room[a] * share) for a, length in lengths.items())


def _distinct(names: list[str]) -> list[str]:
    """The names, each with its number where it comes twice."""
    return [n if names.count(n) == 1 else f"{n} {k}" for k, n in enumerate(names)]
