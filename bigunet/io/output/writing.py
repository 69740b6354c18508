"""Writing to the file system: failures become errors with advice, and killed writes are removed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import zarr
from zarr.errors import ContainsGroupError

from bigunet.errors import BigUNetError, OutputError
from bigunet.options.choices import OmeVersion
from bigunet.stores.access import join_url

ZARR_FORMAT: dict[OmeVersion, Literal[2, 3]] = {"0.4": 2, "0.5": 3, "0.6": 3}
"""The format of zarr for each version of OME-Zarr that bigunet writes."""

_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
_ADVICE = {
    errno.ENOSPC: "free space there, then resume",
    errno.EDQUOT: "free space within your quota, then resume",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a file stands where a folder should be, choose another place",
    errno.EROFS: "the file system is read-only, choose another place",
    errno.EACCES: "you may not write there, choose another place or change its permissions",
    errno.EPERM: "you may not write there, choose another place or change its permissions",
}


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn each failure of the operating system to write ``what`` into an OutputError."""
    try:
        yield
    except BigUNetError:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        advice = _ADVICE.get(error.errno or 0, "see that the place exists and can be written")
        raise OutputError(f"cannot write {what}: {reason}; {advice}") from error


def open_group(store: str, path: str, version: OmeVersion) -> zarr.Group:
    """Open a group of an output for writing; it is made if it does not exist.

    Raises
    ------
    OutputError
        If the group cannot be written.
    """
    with writing(join_url(store, path)):
        try:
            return _open_group(store, path, version, mode="a")
        except ContainsGroupError:
            # Another process made it since zarr looked; parts of a run begin at the same time.
            return _open_group(store, path, version, mode="r+")


def _open_group(
    store: str, path: str, version: OmeVersion, *, mode: Literal["a", "r+"]
) -> zarr.Group:
    return zarr.open_group(
        store, path=path, mode=mode, zarr_format=ZARR_FORMAT[version], use_consolidated=False
    )


def is_partial_name(name: str) -> bool:
    """Whether a file or folder has the name of something that is not whole yet."""
    return bool(_PARTIAL.search(name)) or (name.startswith(".") and name.endswith(".partial"))


def sweep_partial_files(store: str | Path) -> int:
    """Remove the partial files of killed writers, and return their number.

    No other process may be writing the store: its partial files have the same kind of name.

    Raises
    ------
    OutputError
        If a file cannot be removed.
    """
    num_removed = 0
    for folder, _, names in os.walk(store):
        for name in filter(_PARTIAL.search, names):
            path = Path(folder, name)
            with writing(str(path)):
                path.unlink(missing_ok=True)
            num_removed += 1
    return num_removed
