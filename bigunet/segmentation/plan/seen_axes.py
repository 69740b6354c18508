"""Which axes of an image a network sees: it orders them, or refuses what cannot be."""

from __future__ import annotations

from dataclasses import replace

from bigunet.errors import OptionError
from bigunet.io.images.multiscale import ImageDescription
from bigunet.model.model import Model
from bigunet.options.choices import SliceAxis


def seen_along(image: ImageDescription, model: Model, slice_axis: SliceAxis) -> ImageDescription:
    """The image with its axes in an order in which the network sees the last ones.

    Parameters
    ----------
    image : ImageDescription
    model : Model
    slice_axis : {"z", "y", "x"}
        The axis across which a 2D network sees planes.

    Raises
    ------
    OptionError
        If the network sees more axes than the image has, or the slice axis needs a volume or a 2D
        network.
    """
    space = [axis for axis in image.volume_axes if axis != "t"]
    if model.ndim > len(space):
        raise OptionError(
            f"model {model.description.name!r} is {model.ndim}D, but {image.url} has only the "
            f"spatial axes {', '.join(space)}; choose a {len(space)}D model"
        )
    if slice_axis == "z":
        return image
    if model.ndim == 3:
        raise OptionError(
            f"slice axis {slice_axis}: model {model.description.name!r} is 3D and sees no planes; "
            "leave out --slice-axis, or choose a 2D model"
        )
    depth = dict(zip(image.volume_axes, image.volume_shape())).get("z", 1)
    if depth == 1:
        lacks = "has one plane along z" if "z" in space else "has no axis z"
        raise OptionError(
            f"slice axis {slice_axis}: {image.url} is no volume, it {lacks}; leave out --slice-axis"
        )
    return replace(image, slice_axis=slice_axis)
