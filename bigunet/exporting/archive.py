"""Writes the files of a package as a folder, or as a zip with the same bytes each time."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from bigunet.errors import OutputError
from bigunet.machine.files import replacing, swap_folders

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_DESCRIPTION = "rdf.yaml"
_NAME_LETTERS = 50


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a target that is there, unless it is a package that is to be overwritten.

    Raises
    ------
    OutputError
    """
    if not target.exists():
        return
    if not overwrite:
        raise OutputError(f"{target} exists: give --overwrite, or another name")
    if not _is_package(target):
        raise OutputError(
            f"{target} is no package of bioimage.io, and is not overwritten: remove it first, or "
            "give another name"
        )


def write_files(files: Mapping[str, bytes], target: Path) -> None:
    """Write a package, whole or not at all; a package that is there is replaced.

    Parameters
    ----------
    files : mapping of str to bytes
    target : Path
        A zip if its name ends in ``.zip``, else a folder.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".zip":
            with replacing(target) as partial:
                _write_zip(files, partial)
        else:
            _write_folder(files, target)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}; give a place that can be written "
            "and has room"
        ) from error


def _is_package(target: Path) -> bool:
    """Whether a file or a folder has a description, as each package has."""
    if target.is_dir():
        return target.suffix != ".zip" and (target / _DESCRIPTION).is_file()
    if target.suffix != ".zip" or not zipfile.is_zipfile(target):
        return False
    with zipfile.ZipFile(target) as archive:
        return _DESCRIPTION in archive.namelist()


def _write_folder(files: Mapping[str, bytes], target: Path) -> None:
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name[:_NAME_LETTERS]}.", suffix=".partial", dir=target.parent
    ) as folder:
        made = Path(folder, "package")
        made.mkdir()
        for name, content in files.items():
            (made / name).write_bytes(content)
        swap_folders(made, target)


def _write_zip(files: Mapping[str, bytes], path: Path) -> None:
    """Uncompressed, because versions of zlib compress to other bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
