"""The place of an output: a store of its own, or labels inside the image. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bigunet.errors import OptionError
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.output.writing import ZARR_FORMAT
from bigunet.options.choices import OmeVersion, OmeVersionChoice, Output
from bigunet.segmentation.output_kinds import OBJECT_LABELS, OBJECT_TABLES, OUTPUT_KINDS
from bigunet.segmentation.segment_options import SegmentOptions

RUN_FOLDER = "bigunet"
INSIDE_GROUP = OUTPUT_KINDS["classes"].group

_PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".svs", ".ndpi", ".czi", ".nd2", ".lif")


@dataclass(frozen=True, slots=True)
class Place:
    """A store, and the groups in it that the run owns.

    A run writes and removes nothing outside these groups.

    Parameters
    ----------
    store : str
        Path of the root group: the output, or the image that gets labels.
    group : str
        Path of the group with the record of the run; empty if the run owns the whole store. Inside
        an image, this is the group of the classes.
    version : {"0.4", "0.5", "0.6"}
        Version of OME-Zarr.
    others : tuple of str
        Paths of the other groups that the run writes into an image: numbered objects and tables.
    """

    store: str
    group: str
    version: OmeVersion
    others: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Path of the folder with the record of the run."""
        return Path(self.store, self.group)

    @property
    def inside_image(self) -> bool:
        """Whether the outputs are labels inside the image."""
        return bool(self.group)

    @property
    def record(self) -> str:
        """Path in the store of the folder with the ledger and the report."""
        return f"{self.group}/{RUN_FOLDER}" if self.group else RUN_FOLDER

    @property
    def label_folders(self) -> tuple[Path, ...]:
        """Folders in which the run writes files of blocks and metadata, one by one."""
        labels = (group for group in self.others if group == OBJECT_LABELS)
        return (self.folder, *(Path(self.store, group) for group in labels))

    @property
    def possible_others(self) -> tuple[str, ...]:
        """Paths of all groups beside ``group`` that any run may have written at this place."""
        return (OBJECT_LABELS, *OBJECT_TABLES) if self.inside_image else ()

    def writing(self, outputs: Sequence[Output], *, table: bool) -> Place:
        """The place of a run that writes these outputs, and maybe the table of the objects."""
        if not self.inside_image or "instances" not in outputs:
            return replace(self, others=())
        return replace(self, others=(OBJECT_LABELS, *(OBJECT_TABLES if table else ())))


def choose_place(
    image: ImageDescription, target: str | Path | None, options: SegmentOptions
) -> Place:
    """The place at the path ``target``. If it is None: labels inside the image.

    Raises
    ------
    OptionError
        If labels cannot be written into the image, or not those that the options ask for.
    """
    chosen = options.ome_version
    if target is not None:
        _check_folder(target)
        return place_at(target, usual_version(chosen))
    check_inside_options(options)
    version = _version_of(image)
    if chosen not in ("auto", version):
        raise OptionError(
            f"ome version {chosen}: {image.url} is OME-Zarr {version}, and so are labels inside "
            "it; give an OUT for another version"
        )
    place = Place(image.url, INSIDE_GROUP, version)
    expected = Path(os.path.realpath(image.url), INSIDE_GROUP)
    if os.path.realpath(place.folder) != str(expected):
        raise OptionError(f"{place.folder} is a link to elsewhere; remove it, or give an OUT")
    return place


def place_at(target: str | Path, version: OmeVersion) -> Place:
    """The place of an output in a store of its own."""
    path = os.fspath(target)
    if "://" not in path:
        # Absolute, because workers may run in other folders.
        path = os.path.abspath(os.path.expanduser(path))
    return Place(path, "", version)


def _check_folder(target: str | Path) -> None:
    """Raise OptionError if a target names an archive or a picture, which cannot hold blocks."""
    path = Path(target)
    if path.suffix.lower() in _PICTURES:
        raise OptionError(
            f"output {target}: a run writes an OME-Zarr folder, not a {path.suffix} file; give "
            f"{path.with_suffix('.zarr')}"
        )
    if path.suffix.lower() in (".ozx", ".zip"):
        folder = path.with_suffix(".zarr") if path.suffix == ".ozx" else path.with_suffix("")
        raise OptionError(
            f"output {target}: a run writes a folder; give {folder}, and pack it later with: "
            f"bigunet convert {folder} {folder.with_suffix('.ozx')}"
        )


def usual_version(chosen: OmeVersionChoice) -> OmeVersion:
    """The version of an output in a store of its own."""
    return "0.5" if chosen == "auto" else chosen


def check_inside_options(options: SegmentOptions) -> None:
    """Raise OptionError if the options ask for more than labels of all of level 0."""
    is_refused = {
        f"output {', '.join(options.outputs)}": "probabilities" in options.outputs,
        # It is compared with the probabilities, which are written, too.
        f"object threshold {options.object_threshold}": options.object_threshold is not None,
        f"roi {', '.join(options.roi)}": bool(options.roi),
        f"level {options.level}": options.level != 0,
    }
    for option, refused in is_refused.items():
        if refused:
            raise OptionError(
                f"{option}: inside an image only classes and instances of all of its level 0 are "
                "written; give an OUT"
            )


def _version_of(image: ImageDescription) -> OmeVersion:
    is_local = "://" not in image.url and Path(image.url).is_dir()
    if not isinstance(image, Multiscale) or not is_local:
        raise OptionError(f"{image.url} is not a local folder to write labels into; give an OUT")
    if image.is_label:
        raise OptionError(f"{image.url} is a label itself, and has none inside; give an OUT")
    for version, zarr_format in ZARR_FORMAT.items():
        if (image.version, image.zarr_format) == (version, zarr_format):
            return version
    what = f"OME-Zarr {image.version}" if image.version else "a bare array"
    raise OptionError(
        f"{image.url} is {what} in zarr {image.zarr_format}: labels go into OME-Zarr 0.4 of zarr "
        "2, and 0.5 or 0.6 of zarr 3 only; give an OUT"
    )
