"""The lock on a training run: one process at a time writes its files.

The operating system releases the lock when its process ends, in whatever way it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bigunet.errors import OutputError

logger = logging.getLogger(__name__)

_LOCK = ".lock"
# Each try fails only if another run has just ended. A folder where that happens again and again is
# not usable.
_TRIES = 100


@contextmanager
def only_run(folder: Path, model: Path) -> Iterator[None]:
    """Hold the lock on a training run, so that no other process trains the same model.

    Parameters
    ----------
    folder : Path
        Folder of the training record. It is made if it is missing, and removed again if it stays
        empty.
    model : Path
        The model file, for the message.

    Raises
    ------
    OutputError
        If another process trains the model, or if the folder cannot be written.
    """
    path = folder / _LOCK
    file = _locked(path, model)
    try:
        yield
    finally:
        # Removed before it is released: after that the file may belong to another process.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _locked(path: Path, model: Path) -> int:
    for _ in range(_TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Python's files are not inherited, so the lock ends with this process, not with one
            # that it started.
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # Another run has just ended, and removed its empty folder.
        except OSError as error:
            raise OutputError(f"cannot write {path.parent}: {error.strerror}") from error
        try:
            if _lock(file, path, model):
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


def _lock(file: int, path: Path, model: Path) -> bool:
    """Lock an open file; return False if the path is another file by now, or none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(file, 1000).decode(errors="replace")
        who = f" ({holder})" if holder else ""
        raise OutputError(
            f"another process{who} is training {model}; wait for it, or give another --out"
        ) from error
    except OSError:
        # Some network file systems have no locks.
        logger.warning("%s cannot be locked: start no second run of %s", path, model)
        return True
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
