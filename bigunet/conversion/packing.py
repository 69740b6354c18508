"""Outputs in one file, .ozx: where they may be written, and an OME-Zarr folder packed as it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bigunet.conversion.convert_options import ConvertOptions
from bigunet.conversion.convert_report import ConvertReport
from bigunet.errors import OptionError, OutputError
from bigunet.events import Notice, OnEvent
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.output.archive import (
    SUFFIX,
    Packing,
    is_own_archive,
    plan_packing,
    write_archive,
)
from bigunet.io.output.publish import is_complete, is_converted
from bigunet.io.output.writing import writing
from bigunet.machine.locks import folder_lock
from bigunet.options.choices import Existing
from bigunet.segmentation.place import RUN_FOLDER
from bigunet.segmentation.run.record_files import is_record_name

_UNPACKED = ".unpacked"
_LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Archive:
    """An output in one file.

    Parameters
    ----------
    path : Path
        Of the file.
    """

    path: Path

    @classmethod
    def of(cls, target: str | Path) -> Archive | None:
        """The archive that a target names; None if it names a folder.

        Raises
        ------
        OptionError
            If it names an archive that bigunet does not write.
        """
        name = os.fspath(target).lower()
        if name.endswith(".zip"):
            raise OptionError(f"output {target}: give OUT{SUFFIX}, which is a zip, or a folder")
        if not name.endswith(SUFFIX):
            return None
        if "://" in name:
            raise OptionError(f"output {target}: give a local path; object stores can only be read")
        return cls(Path(os.path.abspath(os.path.expanduser(target))))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that writes the archive and its folder.

        Raises
        ------
        BusyError
            If another process does.
        OutputError
            If the folder of the archive cannot be written.
        """
        with writing(str(self.path)):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        place = self.path.with_name(f".{self.path.name}.lock")
        with folder_lock(place, lambda who: _busy(self.path, who)):
            yield

    @property
    def unpacked(self) -> Path:
        """The folder in which an image is converted, and continued, before it is packed."""
        return self.path.with_name(self.path.name + _UNPACKED)

    def check(self, image: str, existing: Existing, options: ConvertOptions) -> None:
        """Raise an error if the archive may not be written; it only looks.

        Raises
        ------
        OutputError
            If something is there that must stay.
        OptionError
            If the archive is the image itself, or lies in it; or if it would be OME-Zarr 0.4.
        """
        if options.ome_version == "0.4":
            raise OptionError(
                f"output {self.path}: an {SUFFIX} holds zarr 3; give --ome-version 0.5 or 0.6, or "
                "a folder as OUT"
            )
        real, source = Path(os.path.realpath(self.path)), Path(os.path.realpath(image))
        if source == real or source in real.parents:
            raise OptionError(f"output {self.path} and the image {image} overlap; give another OUT")
        if not os.path.lexists(self.path):
            return
        if not is_own_archive(self.path):
            raise OutputError(
                f"{self.path} exists and is not an archive of bigunet: it will not be touched; "
                "remove it yourself or give another path"
            )
        if existing == "refuse" or (existing == "resume" and not self.unpacked.exists()):
            raise OutputError(
                f"{self.path} exists: give --overwrite to write it anew, or another path"
            )


def _busy(path: Path, who: str) -> str:
    by = f" ({who})" if who else ""
    return f"{path} is being written by another bigunet{by}; wait for it or stop it"


def is_packed_as_it_is(image: ImageDescription, options: ConvertOptions) -> bool:
    """Whether the files of an image need no change to lie in an archive."""
    return (
        isinstance(image, Multiscale)
        and image.zarr_format == 3
        and image.version in ("0.5", "0.6")
        and options.ome_version in ("auto", image.version)
        and not options.labels
        and Path(image.url).is_dir()
    )


def pack_folder(
    archive: Archive,
    image: ImageDescription,
    *,
    stop: threading.Event | None,
    on_event: OnEvent | None,
) -> ConvertReport:
    """Pack the folder of an image, with its labels and tables, as it is."""
    assert isinstance(image, Multiscale)
    begun = time.perf_counter()
    packing = packing_of(Path(image.url))
    _write(archive, packing, image.version, stop, on_event)
    return ConvertReport.of_packed(
        image, packing, output=str(archive.path), seconds=time.perf_counter() - begun
    )


def pack_converted(
    archive: Archive,
    report: ConvertReport,
    version: str,
    *,
    stop: threading.Event | None,
    on_event: OnEvent | None,
) -> ConvertReport:
    """Pack the folder to which an image was converted, and remove it."""
    begun = time.perf_counter()
    packing = packing_of(archive.unpacked)
    _write(archive, packing, version, stop, on_event)
    with writing(f"away {archive.unpacked}, although {archive.path} is whole"):
        shutil.rmtree(archive.unpacked)
    seconds = report.seconds + time.perf_counter() - begun
    return report.with_packing(
        packing, output=str(archive.path), seconds=seconds, already_finished=False
    )


def _write(
    archive: Archive,
    packing: Packing,
    version: str,
    stop: threading.Event | None,
    on_event: OnEvent | None,
) -> None:
    if on_event is not None:
        size = f"{packing.num_bytes / 1e6:,.1f} MB in {len(packing.keys):,} files"
        on_event(Notice(f"packing {size} into {archive.path}"))
    write_archive(packing, archive.path, version=version, stop=stop)


def packing_of(folder: Path) -> Packing:
    """List the files of an OME-Zarr folder without the records of runs.

    Raises
    ------
    OutputError
        If a run has not finished its labels in the folder.
    """
    records: list[Path] = []

    def is_left_out(path: Path) -> bool:
        if path.name != RUN_FOLDER or not all(is_record_name(one.name) for one in path.iterdir()):
            return False
        records.append(path.parent)
        return True

    packing = plan_packing(folder, is_left_out=is_left_out)
    for written in records:
        if not _is_finished(written):
            raise OutputError(f"{written} is not finished: end it with --resume, then pack it")
    return packing


def _is_finished(written: Path) -> bool:
    """Whether the run that wrote a folder, or labels in an image, has ended."""
    if written.parent.name == _LABELS:
        return is_complete(str(written.parent.parent), f"{_LABELS}/{written.name}")
    return is_complete(str(written)) or is_converted(str(written))
