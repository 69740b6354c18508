"""Locks on files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bigunet.errors import BusyError, OutputError

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


def lock(file: IO[bytes], what: Path) -> None:
    """Be the only one that has a file locked, until it is closed.

    Parameters
    ----------
    file : file
    what : Path
        For the message.

    Raises
    ------
    BusyError
        If another process has.
    """
    if not _locked(file, fcntl.LOCK_EX):
        raise BusyError(f"{what} is being written by another bigunet; wait for it or stop it")


@contextmanager
def shared_lock(path: Path, what: Path, *, patience_seconds: float = 60) -> Iterator[None]:
    """Hold a file with others, while nobody has it alone.

    Raises
    ------
    BusyError
        If somebody has it alone for longer than that.
    OutputError
        If it cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise OutputError(f"cannot open {path}: {error.strerror}") from error
    with file:
        until = time.monotonic() + patience_seconds
        while not _locked(file, fcntl.LOCK_SH):
            if time.monotonic() > until:
                raise BusyError(f"{what} is being written by another bigunet; wait for it")
            time.sleep(_POLL_SECONDS)
        yield


def _locked(file: IO[bytes], kind: int) -> bool:
    """Whether it is now, without waiting.

    On some network file systems there are no locks: there alone counts as locked, shared does not.
    """
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if kind == fcntl.LOCK_SH:
            raise OutputError(
                f"{file.name} cannot be locked ({error.strerror}): parts need a file system with "
                "locks that hold across its hosts"
            ) from error
        logger.warning("%s cannot be locked: start no second run on it", file.name)
    return True
