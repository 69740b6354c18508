"""From an address to its store: a folder, a zip archive, or files on a server."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import lru_cache

from zarr.core.sync import sync

from bigunet.stores.checked_store import CheckedStore
from bigunet.stores.local_store import LocalFiles
from bigunet.stores.zip_store import LocalArchive, ZippedFiles, stamp_of
from bigunet.urls import is_url, split_query

ARCHIVES = (".zip", ".ozx")
"""Suffixes of zip archives at URLs. Local archives are recognised by their first bytes alone."""

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_ARCHIVES_KEPT = 16


def open_store(url: str) -> tuple[CheckedStore, str] | None:
    """Return the store of an address, and the path in that store.

    None if the address is a local file that is no zip archive, or a path below such a file.

    Parameters
    ----------
    url : str
        An address from :func:`bigunet.stores.access.normal_url`. It may continue inside an
        archive.

    Raises
    ------
    ImageError
        If an archive is damaged, or a server does not answer.
    OSError
        If a local path cannot be read.
    """
    if is_url(url):
        return _open_remote(url)
    archive, path = _file_above(url)
    if not archive:
        return LocalFiles(url), ""
    if not is_zip(archive):
        return None
    store = _local_zip(archive, stamp_of(archive))
    return store, store.inside(path)


def is_zip(path: str) -> bool:
    """Whether a local file begins with the bytes of a zip archive."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        return False
    with open(path, "rb") as file:
        return file.read(4) in _ZIP_STARTS


def _file_above(path: str) -> tuple[str, str]:
    """Split a path into a file and the rest inside of it; both empty if there is no such file."""
    above = path
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    if os.path.isdir(above) or not os.path.exists(above):
        return "", ""
    return above, path[len(above) + 1 :]


@lru_cache(_ARCHIVES_KEPT)
def _local_zip(path: str, stamp: tuple[int, int, int]) -> ZippedFiles:
    return ZippedFiles(LocalArchive(path))


def _open_remote(url: str) -> tuple[CheckedStore, str]:
    # Its libraries take a third of a second to import; local images should not wait for them.
    from bigunet.stores.remote_store import RemoteFiles, remote_stamp

    for archive, path in _archives_in(url):
        stamp = sync(remote_stamp(archive))
        if stamp is not None:
            store = _remote_zip(archive, stamp)
            return store, store.inside(path)
    return RemoteFiles(url), ""


@lru_cache(_ARCHIVES_KEPT)
def _remote_zip(url: str, stamp: tuple[int, str]) -> ZippedFiles:
    from bigunet.stores.remote_store import RemoteArchive

    return ZippedFiles(RemoteArchive(url, stamp[0]))


def _archives_in(url: str) -> Iterator[tuple[str, str]]:
    """Each part of a URL that ends in the name of an archive, and the rest of the URL."""
    base, query = split_query(url)
    root, slashes, rest = base.partition("://")
    names = rest.split("/")
    for k in range(1, len(names)):
        if names[k].lower().endswith(ARCHIVES):
            above = f"{root}{slashes}{'/'.join(names[: k + 1])}{query}"
            yield above, "/".join(names[k + 1 :])
