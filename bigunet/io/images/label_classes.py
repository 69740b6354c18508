"""The meaning of the values of a label image, from its metadata; no voxel is read."""

from __future__ import annotations

from typing import Any

import zarr

from bigunet.io.images.groups import ome_metadata
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.stores.access import find_node, join_url


def is_labels(image: ImageDescription) -> bool:
    """Whether an image is a label image by its metadata, or the root of one."""
    return image.is_label or image.levels[0].path.startswith("labels/")


def class_names(image: ImageDescription) -> dict[int, str]:
    """Name of each class by its number; empty if the image holds no classes or names none.

    An image of classes names all values from 0 on, and each name is different. Labels of numbered
    objects may name classes, too, but they do not name 0, and several objects have the same name.

    Raises
    ------
    ImageError
        If the metadata cannot be read.
    """
    if not isinstance(image, Multiscale) or not image.version:
        return {}
    url = join_url(image.url, image.levels[0].path.rpartition("/")[0])
    node = find_node(url)
    label = ome_metadata(url, node).get("image-label") if isinstance(node, zarr.Group) else None
    properties = label.get("properties") if isinstance(label, dict) else None
    named = dict(map(_named, properties)) if isinstance(properties, list) else {}
    numbered = set(named) == set(range(len(named)))
    distinct = len(set(named.values())) == len(named)
    return {k: named[k] for k in sorted(named)} if numbered and distinct else {}


def _named(item: Any) -> tuple[int, str]:
    """Value and class name of one property; -1 and an empty name if either is missing."""
    value = item.get("label-value") if isinstance(item, dict) else None
    name = item.get("class") if isinstance(item, dict) else None
    return (value, name) if isinstance(value, int) and isinstance(name, str) else (-1, "")
