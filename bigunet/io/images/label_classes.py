"""What the values of a label image stand for, as its metadata say; no voxel is read."""

from __future__ import annotations

from typing import Any

import zarr

from bigunet.io.images.groups import ome_metadata
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.stores.access import find_node, join_url


def is_labels(image: ImageDescription) -> bool:
    """Whether the metadata call this image labels: its own, or those of what a root shows."""
    return image.is_label or image.levels[0].path.startswith("labels/")


def class_names(image: ImageDescription) -> dict[int, str]:
    """Names of the classes by number; empty where the image is no class image, or names none.

    A class image names its values from 0 on, each otherwise. Labels of numbered objects may have
    classes too, but name no 0 and several objects alike.

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
    """Value and class of one property; a value of -1 where either is missing."""
    value = item.get("label-value") if isinstance(item, dict) else None
    name = item.get("class") if isinstance(item, dict) else None
    return (value, name) if isinstance(value, int) and isinstance(name, str) else (-1, "")
