"""The files of a package, in a folder or a zip archive; nothing outside is read or written."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bigunet.errors import ModelError
from bigunet.machine.memory import usable_memory_bytes

NAMES = ("rdf.yaml", "bioimageio.yaml")
_ENDINGS = (".rdf.yaml", ".bioimageio.yaml")
_MOST_MEMBERS = 10_000


@dataclass(frozen=True)
class PackageFiles:
    """The files of one package.

    Parameters
    ----------
    root : Path
        The folder, or the zip archive.
    rdf : str
        Name of the description, within the root.
    inner : str
        The folder of the description within an archive; empty for none.
    """

    root: Path
    rdf: str
    inner: str = ""

    def read(self, source: object, sha256: object = None) -> bytes:
        """The bytes of a file that the description names.

        Raises
        ------
        ModelError
            If it is not in the package, not whole, or has another SHA-256 than stated.
        """
        name = local_name(source)
        content = self._archived(name) if self.root.is_file() else self._stored(name)
        if sha256 is not None:
            actual = hashlib.sha256(content).hexdigest()
            if actual != sha256:
                raise ChangedFileError(
                    f"{name} has the SHA-256 {actual[:12]}…, the package states "
                    f"{str(sha256)[:12]}…: it is damaged or was changed; fetch the package again"
                )
        return content

    def _stored(self, name: str) -> bytes:
        path = self.root / name
        try:
            if not path.resolve().is_relative_to(self.root.resolve()):
                raise ModelError(f"{name} lies outside of the package: it is not read")
            _check_size(name, path.stat().st_size)
            return path.read_bytes()
        except FileNotFoundError:
            raise ModelError(f"{name} is not in the package: fetch the package again") from None
        except OSError as error:
            raise ModelError(f"{name} cannot be read: {error.strerror}") from error

    def _archived(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(self.root) as archive:
                entry = archive.getinfo(f"{self.inner}{name}")
                _check_size(name, entry.file_size)
                with archive.open(entry) as file:
                    # One byte more than stated shows an entry that unpacks to more.
                    content = file.read(entry.file_size + 1)
        except KeyError:
            raise ModelError(f"{name} is not in the package: fetch the package again") from None
        except (
            zipfile.BadZipFile,
            OSError,
            RuntimeError,
            NotImplementedError,
            zlib.error,
        ) as error:
            raise ModelError(f"{name} cannot be unpacked: {str(error)[:60]}") from error
        if len(content) != entry.file_size:
            raise ModelError(f"{name} unpacks to another size than stated: the archive is damaged")
        return content


class ChangedFileError(ModelError):
    """A file is not the one that the package was made with."""


def find_package(path: Path) -> PackageFiles | None:
    """The package at a path; None if there is none.

    Parameters
    ----------
    path : Path
        A folder, a zip archive, or a description in a folder.
    """
    if path.is_dir():
        name = next((name for name in NAMES if (path / name).is_file()), None)
        return None if name is None else PackageFiles(path, name)
    if path.name in NAMES or path.name.endswith(_ENDINGS):
        return PackageFiles(path.parent, path.name) if path.is_file() else None
    return _in_archive(path) if zipfile.is_zipfile(path) else None


def package_at(source: object) -> PackageFiles | None:
    """The package at what may be a path; None if there is none."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    try:
        return find_package(Path(source).expanduser())
    except (OSError, ValueError, RuntimeError):
        return None


def _in_archive(path: Path) -> PackageFiles | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:_MOST_MEMBERS]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    places = [PurePosixPath(name) for name in names]
    found = [p for p in places if p.name in NAMES and len(p.parts) <= 2 and ".." not in p.parts]
    if not found:
        return None
    best = min(found, key=lambda p: (len(p.parts), NAMES.index(p.name)))
    inner = "" if len(best.parts) == 1 else f"{best.parent}/"
    return PackageFiles(path, best.name, inner)


def local_name(source: object) -> str:
    """The name of a file in the package.

    Raises
    ------
    ModelError
        If it is a URL, or a path that leaves the package.
    """
    if not isinstance(source, str) or not source or len(source) > 1000:
        raise ModelError(f"{str(source)[:60]!r} is no name of a file in the package")
    if "://" in source or source.startswith(("http:", "https:")):
        raise ModelError(
            f"{source[:80]} is a URL, and bigunet downloads nothing: fetch the file, put it beside "
            "the description, and name it there"
        )
    parts = PurePosixPath(source.replace("\\", "/")).parts
    if source.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise ModelError(f"{source[:80]!r} lies outside of the package: it is not read")
    return str(PurePosixPath(*parts))


def _check_size(name: str, num_bytes: int) -> None:
    memory = usable_memory_bytes()
    if num_bytes > memory:
        raise ModelError(
            f"{name} unpacks to {num_bytes / 1e9:.0f} GB, and this machine has "
            f"{memory / 1e9:.0f} GB of memory: it is no usable weight file"
        )
