"""An error line for an address without a zarr: what is there, and what to do with it."""

from __future__ import annotations

import os
from collections import Counter
from itertools import islice

from zarr.abc.store import RangeByteRequest
from zarr.core.sync import sync

from bigunet.stores.addresses import open_store
from bigunet.stores.checked_store import CheckedStore
from bigunet.stores.local_store import irregular
from bigunet.stores.magic import FIRST_BYTES, FileKind, is_n5, kind_of, zip_kind
from bigunet.stores.zip_store import NODES, ZippedFiles
from bigunet.urls import is_url, shown_url

_NUM_EXAMPLES = 3
_NUM_LISTED = 1000
_MAX_ATTRIBUTES = 1_000_000
_GIVE = "give an OME-Zarr, a zarr array, a TIFF, a slide or a picture"


def foreign(url: str) -> str:
    """One line about an address where there is no zarr.

    Parameters
    ----------
    url : str
        An address from :func:`bigunet.stores.access.normal_url`.
    """
    opened = open_store(url)
    if opened is not None and isinstance(opened[0], ZippedFiles):
        return _zipped(url, opened[0], opened[1])
    if is_url(url):
        return _remote(url, None if opened is None else opened[0])
    return _local(url)


def _local(path: str) -> str:
    """A line about a local path."""
    above = path
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if above != path and os.path.isdir(above):
        return f"{path} does not exist; see how it is written, and give the path of an image"
    if not os.path.exists(above):
        return f"{above} is a link to {os.readlink(above)}, which does not exist"
    what = irregular(above)
    if what == "a folder":
        return _folder(path)
    if what:
        return f"{above} is {what}, not an image; {_GIVE}"
    with open(above, "rb") as file:
        return _named(above, kind_of(file.read(FIRST_BYTES), os.path.basename(above)))


def _named(place: str, kind: FileKind | None) -> str:
    """A line about a file of this kind."""
    if kind is None:
        return (
            f"{place} is neither a zarr array nor a zarr group, but a file of an unknown kind; "
            f"{_GIVE}"
        )
    return f"{place} is {kind.name}, not a zarr: {kind.advice}"


def _folder(path: str) -> str:
    """A line about a folder: it holds zarrs, an N5, images of another kind, or none of these."""
    with os.scandir(path) as entries:
        listed = sorted(islice(entries, _NUM_LISTED), key=lambda entry: entry.name)
    if not listed:
        return f"{path} is an empty folder, neither a zarr array nor a zarr group; {_GIVE}"
    zarrs = [entry.path for entry in listed if _is_node(entry.path)]
    if zarrs:
        return f"{path} is a plain folder; give one of the {len(zarrs)} zarrs in it: " + ", ".join(
            zarrs[:_NUM_EXAMPLES]
        )
    if _is_n5(path):
        return f"{path} is an N5, not a zarr: open it in Fiji (n5-ij) and export it as OME-Zarr"
    kinds = Counter(kind.name for kind in map(_kind_of_entry, listed) if kind is not None)
    if kinds:
        name, count = kinds.most_common(1)[0]
        kind = next(k for k in map(_kind_of_entry, listed) if k is not None and k.name == name)
        plural = "" if count == 1 else f" ({count} files such as this)"
        advice = "give one of its files, or all with --into" if kind.is_read else kind.advice
        return f"{path} is a folder with {name}{plural}, not a zarr: {advice}"
    return f"{path} is a folder, but neither a zarr array nor a zarr group"


def _is_node(path: str) -> bool:
    return any(os.path.isfile(os.path.join(path, name)) for name in NODES) or (
        os.path.isfile(path) and path.endswith((".zarr.zip", ".ozx"))
    )


def _is_n5(path: str) -> bool:
    attributes = os.path.join(path, "attributes.json")
    if not os.path.isfile(attributes):
        return False
    with open(attributes, "rb") as file:
        return is_n5(file.read(_MAX_ATTRIBUTES))


def _kind_of_entry(entry: os.DirEntry[str]) -> FileKind | None:
    """The kind of a file in a folder, if it is an image that can be converted or read."""
    if not entry.is_file():
        return None
    try:
        with open(entry.path, "rb") as file:
            kind = kind_of(file.read(FIRST_BYTES), entry.name)
    except OSError:
        return None
    if kind is None or not (kind.is_read or kind.advice.startswith(("conv", "read", "load"))):
        return None
    return kind


def _zipped(url: str, store: ZippedFiles, path: str) -> str:
    """A line about a zip archive without a zarr at ``path``."""
    place = store.place("")
    names = list(store.files)
    nodes = sorted(
        {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in NODES},
        key=lambda node: (node.count("/"), node),
    )
    if nodes and path:
        return f"{shown_url(url)} is neither a zarr array nor a zarr group in its zip archive"
    if nodes:
        top = [node for node in nodes if node.count("/") == nodes[0].count("/")][:_NUM_EXAMPLES]
        return (
            f"{place} holds several zarrs, or one deep in folders; give one of them: "
            + ", ".join(f"{place}/{node}" for node in top)
        )
    kind = zip_kind(names)
    if kind is not None:
        return f"{place} is {kind.name}, not a zipped zarr: {kind.advice}"
    if not names:
        return f"{place} is an empty zip archive"
    listed = ", ".join(names[:_NUM_EXAMPLES]) + (", ..." if len(names) > _NUM_EXAMPLES else "")
    return f"{place} is a zip archive of {len(names)} files without a zarr in it: {listed}"


def _remote(url: str, store: CheckedStore | None) -> str:
    """A line about a file at a URL, from its first bytes."""
    place = shown_url(url)
    start = None if store is None else sync(store.fetch("", RangeByteRequest(0, FIRST_BYTES)))
    if start:
        return _named(place, kind_of(start, place.rpartition("/")[2]))
    return f"no such store: zarr finds neither an array nor a group at {place}"
