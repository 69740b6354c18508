"""The scene of a preview: the image, and the outputs that are computed over it; no server."""

from __future__ import annotations

from bigunet.io.images.multiscale import ImageDescription, Level
from bigunet.io.output.output_image import OutputImage
from bigunet.previewing.session import Session
from bigunet.viewing.channel_looks import grey_layer
from bigunet.viewing.label_layers import hex_of
from bigunet.viewing.scene import ChannelLook, GreyLayer, LabelLayer, Scene, ValueLook

_CERTAIN = 255.0
"""The value of a certain class in an array of probabilities."""


def scene_of(session: Session) -> Scene:
    """What a page shows of a preview.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    plan, values = session.plan, session.normalisation.values
    windows = {
        k: (float(low), float(high))
        for k, low, high in zip(plan.channels, values.low, values.high)
        if low < high
    }
    classes = session.outputs["classes"].output
    looks = {k: ValueLook(one.name, hex_of(one.rgba)) for k, one in enumerate(classes.classes)}
    shares = session.outputs.get("probabilities")
    return Scene(
        plan.image.name or "preview",
        grey_layer(plan.image, windows),
        (LabelLayer("classes", described(classes), looks),),
        None if shares is None else _shares(shares.output),
    )


def described(output: OutputImage) -> ImageDescription:
    """An output as an image that a viewer reads, with all of its levels."""
    layout = output.layout
    levels = []
    for number, level in enumerate(layout.levels):
        scale, translation = output.placement(number)
        levels.append(
            Level(
                path=output.level_path(number),
                shape=output.as_stored(level.shape, channel=output.num_channels),
                chunks=output.as_stored(level.chunk, channel=1),
                shards=None,
                dtype=output.dtype,
                scale=output.as_stored(scale, channel=1.0),
                translation=output.as_stored(translation, channel=0.0),
            )
        )
    return ImageDescription(
        url=output.store,
        name=output.name,
        axes=output.axes,
        levels=tuple(levels),
        channel_names=("",) * output.num_channels,
        is_label=output.kind == "label",
        slice_axis=output.slice_axis,
    )


def _shares(output: OutputImage) -> GreyLayer:
    looks = (ChannelLook(one.name, hex_of(one.rgba), (0.0, _CERTAIN)) for one in output.classes)
    return GreyLayer(described(output), tuple(looks))
