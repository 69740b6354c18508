"""From a path to the scene that a viewer shows: what is there, and what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bigunet.errors import OptionError
from bigunet.io.files.opening import open_image
from bigunet.io.images.limits import some_of
from bigunet.io.images.looks import listed_labels
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.plates import is_plate, open_plate
from bigunet.io.output.publish import is_converted
from bigunet.options.short_repr import counted
from bigunet.segmentation.place import INSIDE_GROUP
from bigunet.segmentation.run.progress import is_conversion, read_progress
from bigunet.stores.access import join_url, normal_url, shown_url
from bigunet.viewing.channel_looks import grey_layer
from bigunet.viewing.label_layers import check_are_labels, is_label_image, label_layer
from bigunet.viewing.output_scene import scene_of_output, unfinished_layers
from bigunet.viewing.placing import placed_over
from bigunet.viewing.scene import LabelLayer, Scene

_FIELDS_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRequest:
    """What is to be shown.

    Parameters
    ----------
    path : str or Path
        An image, labels, an output of bigunet, or a plate.
    image : str or Path, optional
        The image of an output, where it is not at the place that the output names.
    labels : sequence of str or Path, optional
        Label images to show over the image.
    field : str, optional
        The field of a plate, such as ``"A/1/0"``.
    axes : str, optional
        Letters of the axes, for an image that does not state them.
    """

    path: str | Path
    image: str | Path = ""
    labels: Sequence[str | Path] = ()
    field: str = ""
    axes: str = ""


def open_scene(request: SceneRequest) -> Scene:
    """What is at a path, with all that belongs to it.

    Raises
    ------
    ImageError
        If there is nothing that can be shown.
    OptionError
        If an option does not fit what is there.
    """
    address = _address(request)
    scene = _scene_at(address, request)
    added = [_added(scene, one) for one in request.labels]
    return replace(scene, labels=(*scene.labels, *_renamed(added, scene.labels)))


def _added(scene: Scene, labels: str | Path) -> LabelLayer:
    """The layer of labels that the user lays over a scene."""
    image = open_image(labels, usual_axes=True)
    check_are_labels(image)
    return label_layer(placed_over(image, scene.main), _stem(labels))


def _scene_at(address: str, request: SceneRequest) -> Scene:
    if "://" not in address and _is_output(Path(address)):
        return scene_of_output(address, image=request.image)
    if request.image:
        raise OptionError(f"--image: {shown_url(address)} is no output of bigunet; leave it out")
    image = open_image(address, axes=request.axes)
    title = shown_url(address).rpartition("/")[2]
    if is_label_image(image):
        return Scene(title, labels=(label_layer(image, image.name or "labels"),))
    labels = tuple(
        label_layer(open_image(join_url(image.url, path)), path.removeprefix("labels/"))
        for path in listed_labels(image)
    )
    scene = Scene(title, grey=grey_layer(image), labels=labels)
    return _with_run_inside(scene, image)


def _is_output(path: Path) -> bool:
    """Whether a folder is an output with a store of its own, finished or not."""
    # Labels inside an image hold the record of their run, and are one label image.
    if path.match(INSIDE_GROUP) or not read_progress(path):
        return False
    return not (is_conversion(path) and is_converted(str(path)))


def _with_run_inside(scene: Scene, image: ImageDescription) -> Scene:
    """The scene with the labels of a run that writes into the image at this moment."""
    place = Path(image.url, INSIDE_GROUP)
    if "://" in image.url or not read_progress(place):
        return scene
    listed = {layer.name for layer in scene.labels}
    if "classes" in listed:
        return scene
    added, _ = unfinished_layers(image.url, read_progress(place)["fingerprint"], image)
    return replace(scene, labels=(*scene.labels, *added), run=place)


def _address(request: SceneRequest) -> str:
    """The address of one image; of a plate, that of the field."""
    address = normal_url(request.path)
    if not is_plate(address):
        if request.field:
            raise OptionError(f"--field: {shown_url(address)} is no plate; leave it out")
        return address
    plate = open_plate(address)
    if request.field.strip("/") in plate.fields:
        return join_url(address, request.field.strip("/"))
    known = some_of(plate.fields, len(plate.fields), most=_FIELDS_NAMED)
    if request.field:
        raise OptionError(f"--field {request.field}: {shown_url(address)} has {known or 'none'}")
    example = f"; give one, such as --field {plate.fields[0]}" if plate.fields else ""
    count = counted(len(plate.fields), "field")
    raise OptionError(f"{shown_url(address)} is a plate with {count} ({known}){example}")


def _stem(path: str | Path) -> str:
    name = shown_url(path).rstrip("/").rpartition("/")[2]
    return name.partition(".")[0] or name


def _renamed(added: Sequence[LabelLayer], there: Sequence[LabelLayer]) -> list[LabelLayer]:
    """Layers with names that no other layer has."""
    taken = {layer.name for layer in there}
    result = []
    for layer in added:
        name, number = layer.name, 2
        while name in taken:
            name, number = f"{layer.name} {number}", number + 1
        taken.add(name)
        result.append(replace(layer, name=name))
    return result
