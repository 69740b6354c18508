"""Groups of OME-Zarr: what exists at a URL, its ``ome`` metadata, and its series.

:mod:`bigunet.io.images.discovery` describes the image in a group.
"""

from __future__ import annotations

import itertools
from typing import Any

import zarr

from bigunet.errors import ImageError
from bigunet.io.images import ngff
from bigunet.io.images.limits import MAX_NUMBERED, check_count, some_of
from bigunet.stores.access import Node, find_node, join_url, reading
from bigunet.stores.not_zarr import foreign


def existing_node(url: str) -> Node:
    """Open the zarr array or group at ``url``.

    Raises
    ------
    ImageError
        If there is neither; the message says what is there instead.
    """
    node = find_node(url)
    if node is not None:
        return node
    with reading(url):
        error_line = foreign(url)
    raise ImageError(error_line)


def group_metadata(url: str) -> tuple[zarr.Group, dict[str, Any]]:
    """Open the group at ``url`` with its OME-Zarr metadata."""
    node = existing_node(url)
    if isinstance(node, zarr.Array):
        raise ImageError(f"{url} is a zarr array where a group should be")
    return node, ome_metadata(url, node)


def ome_metadata(url: str, group: zarr.Group) -> dict[str, Any]:
    """Return the object that holds ``multiscales`` or ``plate``.

    It is the object ``ome`` if there is one, else all attributes. It has a ``version`` only if
    that version is stated for the whole object.
    """
    with reading(url):
        attributes = group.attrs.asdict()
    if "ome" not in attributes:
        # Before 0.5, the version of OME-Zarr is inside each multiscale. One beside the
        # multiscales belongs to another program.
        return {key: value for key, value in attributes.items() if key != "version"}
    ome = ngff.parse_object(attributes["ome"], f"{url}: ome")
    nested = ome.get("multiscales")
    first = nested[0] if isinstance(nested, list) and nested else None
    stated = ome.get("version") or (first.get("version") if isinstance(first, dict) else None)
    if stated is None and nested is not None:
        raise ImageError(f"{url}: ome has no version; write '0.5' there if that is what it is")
    return ome


def only_series(url: str) -> str:
    """Return the path of the single series of a bioformats2raw root.

    Raises
    ------
    ImageError
        If there are several series, or none.
    """
    index = find_node(url, "OME")
    ome = ome_metadata(join_url(url, "OME"), index) if isinstance(index, zarr.Group) else {}
    listed = ngff.parse_list(ome.get("series") or [], f"{url}/OME: series")
    series = [ngff.parse_path(path, f"{url}/OME: series") for path in listed]
    series = series or numbered_nodes(url)  # the index is optional
    if len(series) != 1:
        if not series:
            raise ImageError(f"{url} holds no series; give an image or array inside it")
        examples = some_of((join_url(url, path) for path in series), len(series), most=3)
        raise ImageError(f"{url} holds {len(series)} series; give one of them: {examples}")
    return series[0]


def numbered_nodes(url: str) -> list[str]:
    """List the nodes named 0, 1, 2 and so on, up to the first number without a node."""
    # A server may answer to any name, so the list needs a limit.
    numbers = map(str, range(MAX_NUMBERED + 1))
    nodes = list(itertools.takewhile(lambda path: find_node(url, path) is not None, numbers))
    check_count(len(nodes), MAX_NUMBERED, url, "numbered images without a list of them")
    return nodes
