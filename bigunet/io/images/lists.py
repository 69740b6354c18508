"""The lists of labels and of tables in the group of an image."""

from __future__ import annotations

import zarr

from bigunet.stores.access import find_node


def listed_names(url: str, kind: str) -> list[str]:
    """Names that the group ``labels`` or ``tables`` of an image lists; empty without a list.

    Raises
    ------
    ImageError
        If the list cannot be read.
    """
    node = find_node(url, kind)
    if not isinstance(node, zarr.Group):
        return []
    attributes = node.attrs.asdict()
    ome = attributes.get("ome")
    names = (ome if isinstance(ome, dict) else attributes).get(kind)
    return [str(name) for name in names] if isinstance(names, list) else []
