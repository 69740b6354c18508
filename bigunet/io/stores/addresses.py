"""From an address to the store that it is in: a folder, a zip archive, or what a server has."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import lru_cache

from zarr.core.sync import sync

from bigunet.io.stores.checked_store import CheckedStore
from bigunet.io.stores.local_store import LocalFiles
from bigunet.io.stores.zip_store import LocalArchive, ZippedFiles, stamp_of
from bigunet.urls import is_url, split_query

ARCHIVES = (".zip", ".ozx")
"""How the names of zip archives end; local ones are known by their first bytes alone."""

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_ARCHIVES_KEPT = 16


def open_store(url: str) -> tuple[CheckedStore, str] | None:
    """The store of an address, and the path in it; None where a local file is in the way.

    Parameters
    ----------
    url : str
        As :func:`bigunet.io.stores.access.normal_url` gives it. It may go on inside an archive.

    Raises
    ------
    ImageError
        If an archive is damaged, or a server does not answer.
    OSError
        If a local path may not be read.
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
    """Whether a local file begins as zip archives do."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        return False
    with open(path, "rb") as file:
        return file.read(4) in _ZIP_STARTS


def _file_above(path: str) -> tuple[str, str]:
    """The file that a path is or goes on inside of, and the rest of the path; else empty."""
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
    # Its libraries take a third of a second to be imported, which local images need not wait for.
    from bigunet.io.stores.remote_store import RemoteFiles, remote_stamp

    for archive, path in _archives_in(url):
        stamp = sync(remote_stamp(archive))
        if stamp is not None:
            store = _remote_zip(archive, stamp)
            return store, store.inside(path)
    return RemoteFiles(url), ""


@lru_cache(_ARCHIVES_KEPT)
def _remote_zip(url: str, stamp: tuple[int, str]) -> ZippedFiles:
    from bigunet.io.stores.remote_store import RemoteArchive

    return ZippedFiles(RemoteArchive(url, stamp[0]))


def _archives_in(url: str) -> Iterator[tuple[str, str]]:
    """Each part of a URL that is named as an archive, and the rest."""
    base, query = split_query(url)
    root, slashes, rest = base.partition("://")
    names = rest.split("/")
    for k in range(1, len(names)):
        if names[k].lower().endswith(ARCHIVES):
            above = f"{root}{slashes}{'/'.join(names[: k + 1])}{query}"
            yield above, "/".join(names[k + 1 :])
