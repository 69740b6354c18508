"""What a viewer shows: an image, its labels and their table; names and numbers, no voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bigunet.io.images.multiscale import ImageDescription


@dataclass(frozen=True, slots=True)
class ChannelLook:
    """How a channel is shown.

    Parameters
    ----------
    name : str
    colour : str
        Six hexadecimal digits: red, green, blue.
    window : (float, float)
        The grey values that are drawn as black and as the colour.
    shown : bool
        Whether it is visible at first.
    """

    name: str
    colour: str
    window: tuple[float, float]
    shown: bool = True


@dataclass(frozen=True, slots=True)
class GreyLayer:
    """An image and the look of each of its channels; no looks where the channels are colours."""

    image: ImageDescription
    looks: tuple[ChannelLook, ...]


@dataclass(frozen=True, slots=True)
class ValueLook:
    """The name of a value of a label image, and its colour as six hexadecimal digits."""

    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class LabelLayer:
    """A label image.

    Parameters
    ----------
    name : str
    image : ImageDescription
    values : mapping of int to ValueLook
        The classes; empty where the voxels number objects, which have colours at random.
    table : Path, optional
        The table of the objects.
    """

    name: str
    image: ImageDescription
    values: Mapping[int, ValueLook] = field(default_factory=dict)
    table: Path | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a viewer shows of a path.

    Parameters
    ----------
    title : str
    grey : GreyLayer, optional
        The image itself; None where it is not there any more, or cannot be read.
    labels : tuple of LabelLayer
    probabilities : GreyLayer, optional
        One channel for each class.
    run : Path, optional
        The folder with the record of a run that is not finished.
    notes : tuple of str
        Lines for people about what is not shown.
    part : ImageDescription, optional
        What a viewer shows at first, where it is a part of the image: labels of a region.
    """

    title: str
    grey: GreyLayer | None = None
    labels: tuple[LabelLayer, ...] = ()
    probabilities: GreyLayer | None = None
    run: Path | None = None
    notes: tuple[str, ...] = ()
    part: ImageDescription | None = None

    @property
    def main(self) -> ImageDescription:
        """The image by which the viewer orients itself."""
        layers = [layer.image for layer in (self.grey, *self.labels, self.probabilities) if layer]
        return layers[0]
