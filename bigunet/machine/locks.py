"""Locks on files. The operating system ends a lock when the process ends, however that happens.

Some network file systems have no locks. There a lock for one process counts as held, with a
warning in the log; a shared lock, on which several processes rely, is an error.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from bigunet.errors import BusyError, OutputError
from bigunet.machine.file_locks import try_lock

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_LOCK_FILE = ".lock"
# Each further try means that another process has just ended and removed the lock file.
_TRIES = 100


def lock(file: IO[bytes], output: Path) -> None:
    """Lock an open file for this process alone, until the file is closed.

    Parameters
    ----------
    file : file
    output : Path
        What the lock protects; the error names it.

    Raises
    ------
    BusyError
        If another process has locked it.
    """
    if not _locked(file.fileno(), file.name, shared=False):
        raise BusyError(f"{output} is being written by another bigunet; wait for it or stop it")


@contextlib.contextmanager
def shared_lock(path: Path, output: Path, *, patience_seconds: float = 60) -> Iterator[None]:
    """Lock a file together with other processes, so that none has it alone meanwhile.

    Parameters
    ----------
    path : Path
    output : Path
        What the lock protects; the error names it.
    patience_seconds : float
        How long to wait for a process that has the file alone.

    Raises
    ------
    BusyError
        If a process has the file alone for longer than that.
    OutputError
        If the file cannot be opened, or its file system has no locks.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise OutputError(f"cannot open {path}: {error.strerror}") from error
    with file:
        until = time.monotonic() + patience_seconds
        while not _locked(file.fileno(), file.name, shared=True):
            if time.monotonic() > until:
                raise BusyError(f"{output} is being written by another bigunet; wait for it")
            time.sleep(_POLL_SECONDS)
        yield


@contextlib.contextmanager
def folder_lock(folder: Path, refusal: Callable[[str], str]) -> Iterator[None]:
    """Be the only process that has a folder, by a lock file in it.

    Parameters
    ----------
    folder : Path
        It is made if it is missing, and removed at the end if it is empty.
    refusal : callable
        Gives the error line for the name of the process that has the folder, such as
        ``pid 7 on host``; the name is empty if that process has not written it yet.

    Raises
    ------
    BusyError
        If another process has the folder.
    OutputError
        If the folder cannot be written.
    """
    path = folder / _LOCK_FILE
    file = _locked_file(path, refusal)
    try:
        yield
    finally:
        _remove_lock_file(path, file)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_lock_file(path: Path, file: int) -> None:
    if sys.platform == "win32":
        # Windows removes no open file, so that of another process stays.
        os.close(file)
        with contextlib.suppress(OSError):
            path.unlink()
        return
    # The file goes before the lock: afterwards another process may have it.
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(file)


def _locked_file(path: Path, refusal: Callable[[str], str]) -> int:
    for _ in range(_TRIES):
        file = _opened(path)
        if file is None:
            continue
        try:
            if not _locked(file, str(path), shared=False):
                raise BusyError(refusal(os.read(file, 1000).decode(errors="replace")))
            if _is_at(path, file):
                os.truncate(file, 0)
                os.write(file, f"pid {os.getpid()} on {platform.node()}".encode())
                return file
        except OutputError:
            os.close(file)
            raise
        except OSError as error:
            os.close(file)
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        os.close(file)
    raise OutputError(f"cannot lock {path}: others come and go; see what {path.parent} is")


def _opened(path: Path) -> int | None:
    """The open lock file; None if another process has just removed its folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not inherited: the lock must end with this process, not with one that it started.
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"cannot write {path.parent}: {error.strerror}") from error


def _is_at(path: Path, file: int) -> bool:
    """Whether an open file is the one at a path, and not one that was removed."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _locked(file: int, name: str, *, shared: bool) -> bool:
    """Lock an open file without waiting; False if another process has a lock against this one."""
    try:
        return try_lock(file, shared=shared)
    except OSError as error:
        if shared:
            raise OutputError(
                f"{name} cannot be locked ({error.strerror}): parts need a file system with "
                "locks that hold across its hosts"
            ) from error
        logger.warning("%s cannot be locked: start no second run on it", name)
    return True
