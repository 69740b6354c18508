"""Remove what an earlier run wrote, so that another one begins with an empty place."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bigunet.engine.ledger import Ledger
from bigunet.errors import OutputError
from bigunet.io.output.publish import withdraw_label
from bigunet.segmentation.place import Place
from bigunet.segmentation.run.record_files import ledger_path
from bigunet.segmentation.run.target import check_target, is_occupied


def begin_anew(place: Place, image: str, *, read: Sequence[str] = ()) -> None:
    """Remove all that an earlier run wrote to a place. An empty place stays as it is.

    A later run with ``existing="resume"`` then begins with its first block.

    Parameters
    ----------
    place : Place
    image : str
        Address of the image that will be segmented.
    read : sequence of str
        Addresses of the other images that the run will read.

    Raises
    ------
    OutputError, OptionError
        As `check_target`; BusyError if another process writes the output.
    """
    check_target(place, image, existing="overwrite", read=read)
    if is_occupied(place.folder):
        with Ledger(make_ledger_folder(place), anew=True):
            clear(place)


def clear(place: Place) -> None:
    """Remove all output and record files from a place, except the run's own ledger.

    The caller has emptied this ledger and holds its lock.

    Raises
    ------
    OutputError
        If a file cannot be removed.
    """
    # This order is safe: if the removal is cut off, the ledger calls no block done.
    withdraw(place)
    kept = ledger_path(place.folder)
    entries = [*place.folder.iterdir(), *kept.parent.iterdir()]
    try:
        # Files go first: without its metadata, an output does not look whole.
        for entry in sorted(entries, key=lambda path: path.is_dir()):
            if entry not in (kept, kept.parent):
                _remove(entry)
    except OSError as error:
        raise OutputError(f"cannot remove {error.filename}: {error.strerror}") from error


def withdraw(place: Place) -> None:
    """Take a label out of the image's list of labels; a store of its own has no such list."""
    if place.inside_image:
        withdraw_label(place.store, place.group, place.version)


def make_ledger_folder(place: Place) -> Path:
    """Make the folder of the ledger if it is missing, and give the path of the ledger.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    path = ledger_path(place.folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {place.folder}: {error.strerror}; choose a path that can be written"
        ) from error
    return path


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
