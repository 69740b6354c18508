"""Remove what an earlier run wrote, so that another one begins with an empty place."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bigunet.engine.ledger import Ledger
from bigunet.errors import OutputError
from bigunet.io.output.publish import withdraw_label
from bigunet.io.output.table_group import remove_partial_table, withdraw_tables
from bigunet.segmentation.output_kinds import OBJECT_LABELS, OBJECT_TABLES
from bigunet.segmentation.place import RUN_FOLDER, Place
from bigunet.segmentation.run.ownership import is_occupied, owned_others
from bigunet.segmentation.run.record_files import ledger_path
from bigunet.segmentation.run.target import check_target


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
    if is_occupied(place.folder) or owned_others(place):
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
    _remove_others(place)
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
    """Take labels and tables of runs out of the lists of the image.

    Lists of labels and tables are of images; a store of its own has none that others write.
    """
    if not place.inside_image:
        return
    owned = owned_others(place)
    for group in (place.group, *(group for group in owned if group == OBJECT_LABELS)):
        withdraw_label(place.store, group, place.version)
    if tables := [group for group in owned if group in OBJECT_TABLES]:
        withdraw_tables(place.store, [group.rpartition("/")[2] for group in tables])


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


def _remove_others(place: Place) -> None:
    """Remove the labels and tables of runs inside the image, tables first.

    The folder that marks labels as those of a run goes last: what is left by a kill is still known.
    """
    for group in (group for group in place.possible_others if group in OBJECT_TABLES):
        remove_partial_table(place.store, group.rpartition("/")[2])
    for group in reversed(owned_others(place)):
        folder = Path(place.store, group)
        try:
            for entry in sorted(folder.iterdir(), key=_removed_last):
                _remove(entry)
            folder.rmdir()
        except OSError as error:
            raise OutputError(f"cannot remove {error.filename}: {error.strerror}") from error


def _removed_last(entry: Path) -> tuple[bool, bool]:
    """Key that puts files first, folders next, and the mark of a run last."""
    return entry.name == RUN_FOLDER, entry.is_dir()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
