"""The scene of an output of bigunet, finished or not: the image, labels, and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bigunet.errors import BigUNetError, OptionError
from bigunet.io.files.opening import open_image
from bigunet.io.images.multiscale import Axis, ImageDescription
from bigunet.io.images.unpublished import open_unpublished
from bigunet.io.output.publish import is_complete
from bigunet.model.description import PALETTE, SegmentationClass, default_classes
from bigunet.options.short_repr import shown_shape
from bigunet.segmentation.output_kinds import OUTPUT_KINDS, OutputKind
from bigunet.segmentation.run.progress import read_progress
from bigunet.stores.access import join_url, shown_url
from bigunet.viewing.channel_looks import grey_layer
from bigunet.viewing.label_layers import hex_of, label_layer
from bigunet.viewing.scene import ChannelLook, GreyLayer, LabelLayer, Scene, ValueLook

Fingerprint = Mapping[str, Any]

_TOP = 255.0
"""The value of a certain class in an array of probabilities."""


def scene_of_output(path: str, *, image: str | Path = "") -> Scene:
    """The scene of the output in a local folder.

    Parameters
    ----------
    path : str
    image : str or Path
        The image, where it is not at the place that the output names; else empty.

    Raises
    ------
    BigUNetError
        If the output cannot be read, or the stated image.
    """
    begun = read_progress(Path(path))["fingerprint"]
    grey, notes = _image_of(begun, image)
    described = None if grey is None else grey.image
    if is_complete(path):
        labels, probabilities = _finished(path, begun)
        run = None
    else:
        labels, probabilities = unfinished_layers(path, begun, described)
        run = Path(path)
    written = [layer.image for layer in (*labels, probabilities) if layer is not None]
    part = written[0] if written and begun.get("option roi") else None
    return Scene(Path(path).name, grey, labels, probabilities, run, notes, part)


def unfinished_layers(
    store: str, begun: Fingerprint, image: ImageDescription | None
) -> tuple[tuple[LabelLayer, ...], GreyLayer | None]:
    """Labels and probabilities that a run is writing at this moment.

    Parameters
    ----------
    store : str
        The root of the arrays.
    begun : mapping
        The fingerprint of the run.
    image : ImageDescription, optional
        The image of the run, which says where the labels lie.

    Raises
    ------
    ImageError
        If an array cannot be read.
    """
    classes = classes_of(begun)
    labels: list[LabelLayer] = []
    probabilities = None
    for output, kind in _written(begun):
        array = _unfinished(store, kind, begun, image)
        if array is None:
            continue
        if kind.per_class:
            probabilities = _probabilities(array, classes)
        else:
            values = _values(classes) if output == "classes" else {}
            labels.append(LabelLayer(output, array, values))
    return tuple(labels), probabilities


def classes_of(begun: Fingerprint) -> tuple[SegmentationClass, ...]:
    """The classes of the model of a run: those of a bundled model, else classes without names."""
    # This import brings torch, which takes seconds; only a run under way needs it.
    from bigunet.model.files.model_file import load_model
    from bigunet.model.files.names import bundled_models

    name, _, digest = str(begun.get("model", "")).rpartition(" ")
    if name in bundled_models():
        model = load_model(name)
        if digest and model.digest.startswith(digest):
            return model.description.classes
    return default_classes(len(PALETTE))


def _image_of(begun: Fingerprint, stated: str | Path) -> tuple[GreyLayer | None, tuple[str, ...]]:
    """The layer of the image of a run, or a line that says why it is not shown."""
    address = stated or str(begun.get("image", ""))
    try:
        image = open_image(address, axes=str(begun.get("option axes", "")))
        _check_shape(image, begun)
        return grey_layer(image, _windows(begun)), ()
    except BigUNetError as error:
        if stated:
            raise
        return None, (f"the image is not shown, only the labels: {error}",)


def _check_shape(image: ImageDescription, begun: Fingerprint) -> None:
    """Raise OptionError if this cannot be the image of a run: the labels would lie elsewhere."""
    level, shape = int(begun.get("option level", 0)), begun.get("image_shape")
    if shape is not None and list(image.level(level).shape) != list(shape):
        raise OptionError(
            f"{shown_url(image.url)} has the shape {shown_shape(image.level(level).shape)}, and "
            f"the image of the output had {shown_shape(tuple(shape))}: give that with --image"
        )


def _windows(begun: Fingerprint) -> dict[int, tuple[float, float]]:
    """The grey range that the network sees, by channel."""
    range_ = begun.get("normalisation", {})
    lows, highs = range_.get("values_low", ()), range_.get("values_high", ())
    channels = begun.get("channels", ())
    return {k: (low, high) for k, low, high in zip(channels, lows, highs) if low < high}


def _finished(path: str, begun: Fingerprint) -> tuple[tuple[LabelLayer, ...], GreyLayer | None]:
    labels: list[LabelLayer] = []
    probabilities = None
    for output, kind in _written(begun):
        image = open_image(join_url(path, kind.group))
        if kind.per_class:
            looks = grey_layer(image).looks
            probabilities = GreyLayer(image, looks)
        else:
            labels.append(label_layer(image, output))
    return tuple(labels), probabilities


def _written(begun: Fingerprint) -> list[tuple[str, OutputKind]]:
    """The outputs of a run in the order in which viewers lay them over each other."""
    outputs = begun.get("option outputs", ())
    return [(name, kind) for name, kind in OUTPUT_KINDS.items() if name in outputs]


def _unfinished(
    store: str, kind: OutputKind, begun: Fingerprint, image: ImageDescription | None
) -> ImageDescription | None:
    letters = [str(name) for name in begun.get("axes", ())]
    places = _places(begun, image)
    axes = _stored_axes(letters, image, with_channel=kind.per_class)
    placed = [places.get(axis.name, (1.0, 0.0)) for axis in axes]
    return open_unpublished(
        store,
        kind.group,
        axes=axes,
        scale=[scale for scale, _ in placed],
        translation=[translation for _, translation in placed],
    )


def _stored_axes(
    letters: Sequence[str], image: ImageDescription | None, *, with_channel: bool
) -> tuple[Axis, ...]:
    """The axes of an output as it stores them: time first, then those of the image."""
    if image is None:
        kept = [Axis(n, "time" if n == "t" else "space") for n in sorted(letters, key="tzyx".index)]
    else:
        kept = sorted(
            (axis for axis in image.axes if axis.name != "c"), key=lambda axis: axis.name != "t"
        )
    number = sum(axis.name == "t" for axis in kept)
    channel = [Axis("c", "channel")] if with_channel else []
    return (*kept[:number], *channel, *kept[number:])


def _places(begun: Fingerprint, image: ImageDescription | None) -> dict[str, tuple[float, float]]:
    """Scale and translation of the output along each axis: those of the region of the level."""
    if image is None:
        return {}
    level = int(begun.get("option level", 0))
    region = begun.get("option roi", {})
    placed = zip(image.volume_axes, image.volume_scale(level), image.volume_translation(level))
    return {a: (s, t + s * region.get(a, (0,))[0]) for a, s, t in placed}


def _values(classes: Sequence[SegmentationClass]) -> dict[int, ValueLook]:
    return {k: ValueLook(one.name, hex_of(one.rgba)) for k, one in enumerate(classes)}


def _probabilities(array: ImageDescription, classes: Sequence[SegmentationClass]) -> GreyLayer:
    named = [*classes, *default_classes(256)[len(classes) :]][: array.num_channels]
    looks = (ChannelLook(one.name, hex_of(one.rgba), (0.0, _TOP)) for one in named)
    return GreyLayer(array, tuple(looks))
