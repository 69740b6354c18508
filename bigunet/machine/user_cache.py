"""Small texts that are kept for later commands of the same user, in the user's cache folder.

A text that is lost or damaged counts as absent. Nothing is kept where the folder cannot be written,
or where another user could write it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path

from bigunet.machine.files import replacing

VARIABLE = "BIGUNET_CACHE"
"""Variable of the environment with the folder; if it is empty, nothing is kept."""
# Of each kind. A text takes a kilobyte or less.
_MOST_TEXTS = 500
_MOST_BYTES = 10_000


def cache_folder() -> Path | None:
    """The user's cache folder of bigunet, which need not exist; None if nothing is to be kept."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given).expanduser() if given else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "bigunet"


def recall(kind: str, key: str) -> str | None:
    """The text that was kept under a key; None if there is none, or if it is damaged.

    Parameters
    ----------
    kind : str
        Name of a folder for texts of this kind.
    key : str
        A digest in hexadecimal digits.
    """
    folder = _folder(kind, make=False)
    if folder is None:
        return None
    try:
        with (folder / key).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError:
        return None
    seal, _, text = content.partition(b"\n")
    whole = len(content) <= _MOST_BYTES and seal == _seal(key, text)
    return text.decode(errors="replace") if whole else None


def keep(kind: str, key: str, text: str) -> None:
    """Keep a text under a key; the oldest texts of this kind leave. It may fail in silence."""
    body = text.encode()
    content = _seal(key, body) + b"\n" + body
    if len(content) > _MOST_BYTES or (folder := _folder(kind, make=True)) is None:
        return
    with contextlib.suppress(OSError):
        with replacing(folder / key) as partial:
            partial.write_bytes(content)
        _drop_oldest(folder)


def _seal(key: str, text: bytes) -> bytes:
    """A digest that shows damage, and a text that lies under another key."""
    return hashlib.sha256(key.encode() + b"\n" + text).hexdigest().encode()


def _folder(kind: str, *, make: bool) -> Path | None:
    """The folder of a kind, if this user alone can write it; else None."""
    above = cache_folder()
    if above is None:
        return None
    folder = above / kind
    try:
        if make:
            # The parents that mkdir makes may be writable for the user's group.
            above.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        own = all(map(_is_own, (above, folder)))
    except OSError:
        return None
    return folder if own else None


def _is_own(folder: Path) -> bool:
    if sys.platform == "win32":
        return folder.is_dir()
    found = folder.stat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not others_write


def _drop_oldest(folder: Path) -> None:
    with os.scandir(folder) as entries:
        ages = sorted((one.stat().st_mtime, one.path) for one in entries)
    for _, path in ages[: max(0, len(ages) - _MOST_TEXTS)]:
        Path(path).unlink(missing_ok=True)
