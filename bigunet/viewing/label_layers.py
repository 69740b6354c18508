"""Layers of label images: classes with the names and colours that they state, or objects."""

from __future__ import annotations

import numpy as np

from bigunet.errors import LabelsError
from bigunet.io.images.label_classes import class_names
from bigunet.io.images.looks import label_colours
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.stores.access import shown_url
from bigunet.viewing.object_values import table_of
from bigunet.viewing.scene import LabelLayer, ValueLook

_LARGE_NUMBERS = 4
"""Bytes of a whole number in a zarr array without metadata that is taken for a label."""
_GREY = (128, 128, 128, 255)


def label_layer(image: ImageDescription, name: str) -> LabelLayer:
    """The layer of a label image: classes where its values have names, else objects.

    Raises
    ------
    ImageError
        If its metadata cannot be reached.
    """
    names, colours = class_names(image), label_colours(image)
    values = {
        value: ValueLook(text, hex_of(colours.get(value, _GREY))) for value, text in names.items()
    }
    store, _, folder = image.url.rpartition("/labels/")
    table = table_of(store, folder) if folder and not values else None
    return LabelLayer(name, image, values, table)


def check_are_labels(image: ImageDescription) -> None:
    """Raise LabelsError if the voxels of an image can number nothing."""
    dtype = np.dtype(image.levels[0].dtype)
    if dtype.kind not in "iub" or image.num_channels > 1:
        raise LabelsError(
            f"{shown_url(image.url)} has {image.num_channels} channel(s) of {dtype}: labels are "
            "whole numbers in one channel; give another --labels"
        )


def hex_of(rgba: tuple[int, int, int, int]) -> str:
    """A colour as six hexadecimal digits.

    >>> hex_of((255, 128, 0, 255))
    'FF8000'
    """
    return "".join(f"{part:02X}" for part in rgba[:3])


def is_label_image(image: ImageDescription) -> bool:
    """Whether an image holds numbers of classes or objects.

    By its metadata; of a zarr array without metadata, by whole numbers of 32 bits or more, which
    no camera gives.
    """
    dtype = np.dtype(image.levels[0].dtype)
    if dtype.kind not in "iu" or image.num_channels > 1:
        return False
    bare = isinstance(image, Multiscale) and not image.version
    return image.is_label or (bare and dtype.itemsize >= _LARGE_NUMBERS)
