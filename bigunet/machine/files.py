"""Writes files whole or not at all: under a temporary name in the same folder, then renamed.

Others see the former file, or none, until the new one is complete. A process that is killed leaves
at most its temporary file, whose name ends in ``.partial``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

# Of the name of a file, kept in the name of its temporary file.
_NAME_BYTES = 200
# On Windows, a scanner for viruses or an indexer opens new files for a moment. Meanwhile nobody can
# rename or replace them.
_RENAME_SECONDS = 5.0
_PAUSE_SECONDS = 0.05


@contextlib.contextmanager
def replacing(path: Path, *, sole_writer: bool = False) -> Iterator[Path]:
    """Write a file that takes the place of ``path`` when the block ends without an error.

    It may also be a folder, which takes the place of none.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    sole_writer : bool
        Whether no other process writes this file meanwhile. The temporary name is then always the
        same, so that runs that are killed leave one temporary file at most. Otherwise each call
        has a name of its own.

    Yields
    ------
    Path
        The temporary file to write. After an error it is removed.

    Raises
    ------
    OSError
        If the file cannot be renamed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    partial = path.with_name(f".{path.name}.partial") if sole_writer else _own_partial(path)
    with _removed_after_error(partial):
        yield partial
        replace_file(partial, path)


def replace_file(new: Path, path: Path) -> None:
    """Put a file in the place of another one, or of none, in one step.

    On Windows it tries again for some seconds if another process has one of them open.

    Raises
    ------
    OSError
        If the file cannot be renamed.
    """
    until = time.monotonic() + _RENAME_SECONDS
    while True:
        try:
            new.replace(path)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > until:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def swap_folders(new: Path, path: Path) -> None:
    """Put a folder in the place of another one, which is then removed, or of none.

    Readers see the old folder or the new one, on file systems that can exchange two names (most of
    Linux). On others there is no folder for a moment.

    Raises
    ------
    OSError
        If a folder cannot be renamed.
    """
    if not path.exists():
        new.rename(path)
        return
    if not _exchanged(new, path):
        aside = _own_partial(path)
        path.rename(aside)
        new.rename(path)
        new = aside
    shutil.rmtree(new)


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two names in one step, if the file system can."""
    if sys.platform != "linux":
        return False
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    here, flag = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>
    names = (os.fsencode(first), os.fsencode(second))
    return exchange is not None and exchange(here, names[0], here, names[1], flag) == 0


def create_once(path: Path, content: bytes) -> bool:
    """Create a file that several processes may create at the same time.

    Returns
    -------
    bool
        Whether this call created the file; False if it exists, which is then not touched.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    partial = _own_partial(path)
    try:
        partial.write_bytes(content)
        _rename_once(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)
    return True


def _rename_once(partial: Path, path: Path) -> None:
    """Give a file its name, unless the name is taken."""
    if sys.platform == "win32":
        # Elsewhere a rename replaces the file that has the name.
        partial.rename(path)
        return
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:
        # This file system has no links (FAT, and some of networks and of macOS). A process that is
        # killed between the two lines leaves a file that is cut off.
        with path.open("xb") as file:
            file.write(partial.read_bytes())


def _own_partial(path: Path) -> Path:
    # File systems take names of 255 bytes; a letter may be four of them.
    name = os.fsdecode(os.fsencode(path.name)[:_NAME_BYTES])
    return path.with_name(f".{name}.{uuid.uuid4().hex}.partial")


@contextlib.contextmanager
def _removed_after_error(partial: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if partial.is_dir():
                shutil.rmtree(partial)
            else:
                partial.unlink()
        raise
