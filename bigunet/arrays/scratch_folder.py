"""A temporary folder that is gone afterwards, also after an error or Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bigunet.errors import BigUNetError, OptionError, OutputError
from bigunet.machine.signals import undisturbed

logger = logging.getLogger(__name__)

_PREFIX = "bigunet-array-"
_TRIES = 20
_PAUSE_SECONDS = 0.25
_AXES_FLAG = re.compile(r"--axes (\w+)")


@contextlib.contextmanager
def scratch_folder(parent: str | Path | None, needed_bytes: int) -> Iterator[Path]:
    """Make a folder, and remove it when the context is left.

    Parameters
    ----------
    parent : path, optional
        A folder that exists; by default that of the system for temporary files.
    needed_bytes : int
        Bytes that will be written.

    Raises
    ------
    OptionError
        If there is no such folder.
    OutputError
        If it has not enough space, or cannot be written.
    """
    where = Path(tempfile.gettempdir() if parent is None else parent).expanduser().absolute()
    if not where.is_dir():
        raise OptionError(f"scratch is {where}, which is no folder; give one that exists")
    free = shutil.disk_usage(where).free
    if free < needed_bytes:
        raise OutputError(
            f"the array and its result need up to {needed_bytes / 1e9:.3g} GB in {where}, where "
            f"{free / 1e9:.3g} GB are free; give another folder as scratch"
        )
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))
    except OSError as error:
        raise OutputError(
            f"cannot write in {where}: {error.strerror}; give another folder as scratch"
        ) from error
    try:
        yield folder
    finally:
        with undisturbed():
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder; workers of an interrupted run may still write into it for a moment."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE_SECONDS)
    logger.warning("%s could not be removed; remove it", folder)


@contextlib.contextmanager
def speaking_of(files: dict[Path, str]) -> Iterator[None]:
    """Let errors speak of the array, not of temporary files, and of keywords, not of flags."""
    try:
        yield
    except BigUNetError as error:
        text = str(error)
        for path, name in files.items():
            text = text.replace(str(path), name)
        error.args = (_AXES_FLAG.sub(r'axes="\1"', text).replace("--axes", "axes"),)
        raise
