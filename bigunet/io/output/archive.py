"""An OME-Zarr in one file: a stored zip archive, as RFC-9 of OME-Zarr says, made of a folder.

The same folder gives the same bytes. Until the archive is whole it has another name.

References
----------
RFC-9, zipped OME-Zarr: https://ngff.openmicroscopy.org/rfc/9/
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigunet.errors import OutputError, StoppedError
from bigunet.io.output.writing import is_partial_name, writing
from bigunet.machine.files import replacing

SUFFIX = ".ozx"

_METADATA = "zarr.json"
_WRITER_KEY, _WRITER = "writer", "bigunet"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip archive can state; that of a file would change the bytes."""
_MODE = 0o644 << 16
_UNIX = 3
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Packing:
    """The files of an OME-Zarr folder that an archive will hold.

    Parameters
    ----------
    folder : Path
    keys : tuple of str
        Paths below the folder in the order of the archive: metadata first, the upper ones before
        the lower ones, then all other files.
    num_bytes : int
        Size of all files together.
    """

    folder: Path
    keys: tuple[str, ...]
    num_bytes: int


def plan_packing(folder: Path, *, is_left_out: Callable[[Path], bool]) -> Packing:
    """List what an archive of a folder will hold; temporary files are left out.

    Parameters
    ----------
    folder : Path
        With ``zarr.json`` at its root.
    is_left_out : callable
        Says of the path of a folder below it whether it is left out, with all that it holds.

    Raises
    ------
    OutputError
        If the folder cannot be listed, has no metadata of zarr 3, or holds a link to a folder or
        another archive.
    """
    keys: list[str] = []
    num_bytes = 0
    with writing(f"an archive of {folder}"):
        for above, folders, names in os.walk(folder, onerror=_raise):
            inside = Path(above).relative_to(folder)
            _check_links(Path(above), folders)
            folders[:] = [
                name
                for name in folders
                if not is_partial_name(name) and not is_left_out(Path(above, name))
            ]
            for name in filter(lambda name: not is_partial_name(name), names):
                keys.append((inside / name).as_posix())
                num_bytes += Path(above, name).stat().st_size
    _check_keys(folder, keys)
    return Packing(folder, tuple(sorted(keys, key=_place)), num_bytes)


def write_archive(
    packing: Packing, path: Path, *, version: str, stop: threading.Event | None = None
) -> None:
    """Write an archive, which takes the place of a file of its name when it is whole.

    No other process may write the same archive meanwhile.

    Parameters
    ----------
    packing : Packing
    path : Path
    version : str
        Version of OME-Zarr, which the archive states.
    stop : threading.Event, optional
        If it is set, no further file is packed.

    Raises
    ------
    OutputError
        If the archive or its folder cannot be written, or a file to pack is gone.
    StoppedError
        If ``stop`` was set; no archive is left then.
    """
    about = {"version": version, "zipFile": {"centralDirectory": {"jsonFirst": True}}}
    with writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(str(path)), replacing(path, sole_writer=True) as partial:
        with zipfile.ZipFile(partial, "w") as archive:
            for key in packing.keys:
                if stop is not None and stop.is_set():
                    raise StoppedError(f"stopped as asked before {path} was whole; pack it again")
                _add(archive, packing.folder / key, key)
            archive.comment = json.dumps({"ome": about, _WRITER_KEY: _WRITER}).encode()
        with partial.open("r+b") as file:
            # The folder may be removed next, so the archive must be on the disk.
            os.fsync(file.fileno())


def is_own_archive(path: Path) -> bool:
    """Whether a file is an archive that bigunet wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.comment)
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile):
        return False
    return isinstance(about, dict) and about.get(_WRITER_KEY) == _WRITER


def _add(archive: zipfile.ZipFile, file: Path, key: str) -> None:
    entry = zipfile.ZipInfo(key, _EPOCH)
    entry.external_attr, entry.create_system = _MODE, _UNIX
    with open(file, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, _BUFFER_BYTES)


def _place(key: str) -> tuple[bool, int, str]:
    is_metadata = key.rpartition("/")[2] == _METADATA
    return (not is_metadata, key.count("/") if is_metadata else 0, key)


def _check_links(above: Path, folders: Sequence[str]) -> None:
    for name in folders:
        if (above / name).is_symlink():
            raise OutputError(
                f"{above / name} is a link to a folder, which an archive cannot hold: put the "
                "folder itself there"
            )


def _check_keys(folder: Path, keys: Sequence[str]) -> None:
    if _METADATA not in keys:
        raise OutputError(f"{folder} has no {_METADATA}: an {SUFFIX} holds an OME-Zarr of zarr 3")
    for key in keys:
        if key.lower().endswith(SUFFIX):
            raise OutputError(
                f"{folder / key} is an archive itself, and an archive may not hold another: move "
                "it to another place"
            )


def _raise(error: OSError) -> None:
    raise error
