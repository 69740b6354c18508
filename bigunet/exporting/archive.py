"""Writes the files of a package as a folder, or as a zip with the same bytes each time."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from bigunet.errors import OutputError
from bigunet.machine.files import replacing

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def write_files(files: Mapping[str, bytes], target: Path) -> None:
    """Write a package, whole or not at all.

    Parameters
    ----------
    files : mapping of str to bytes
    target : Path
        A zip if its name ends in ``.zip``, else a folder. It must not exist.

    Raises
    ------
    OutputError
        If it exists, or cannot be written.
    """
    if target.exists():
        raise OutputError(f"{target} exists: remove it first, or give another name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial:
            if target.suffix == ".zip":
                _write_zip(files, partial)
            else:
                partial.mkdir()
                for name, content in files.items():
                    (partial / name).write_bytes(content)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error}") from error


def _write_zip(files: Mapping[str, bytes], path: Path) -> None:
    """Uncompressed, because versions of zlib compress to other bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
