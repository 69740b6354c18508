"""Looks for a few images and arrays inside a group that is no image itself, for a short time."""

from __future__ import annotations

from collections import deque

import zarr
from zarr.core.sync import sync

from bigunet.stores.access import find_node, join_url, reading
from bigunet.stores.addresses import open_store

_MOST_TRIED = 300
_MOST_DEEP = 4


def images_inside(url: str, most: int) -> tuple[list[str], list[str]]:
    """Addresses of the first images (groups with ``multiscales``), and of the first bare arrays.

    Both are empty on a server that cannot list folders.

    Parameters
    ----------
    url : str
        Address of the group.
    most : int
        The largest number of images, and of arrays, to return.
    """
    images: list[str] = []
    arrays: list[str] = []
    waiting = deque((name, 1) for name in _names(url, ""))
    for _ in range(_MOST_TRIED):
        if not waiting or len(images) >= most:
            break
        path, depth = waiting.popleft()
        node = find_node(url, path)
        if isinstance(node, zarr.Array):
            arrays.append(path)
        elif node is not None:
            attributes = node.attrs.asdict()
            ome = attributes.get("ome")
            if "multiscales" in (ome if isinstance(ome, dict) else attributes):
                images.append(path)
            elif depth < _MOST_DEEP:
                waiting += ((f"{path}/{name}", depth + 1) for name in _names(url, path))
    return _addresses(url, images[:most]), _addresses(url, arrays[:most])


def _names(url: str, path: str) -> list[str]:
    with reading(join_url(url, path)):
        opened = open_store(join_url(url, path))
        if opened is None:
            return []
        store, inside = opened
        names = sync(store.names(inside))[:_MOST_TRIED]
        return [name for name in names if not name.startswith(".") and name != "zarr.json"]


def _addresses(url: str, paths: list[str]) -> list[str]:
    return [join_url(url, path) for path in paths]
