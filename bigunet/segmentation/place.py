"""The place of an output: a store of its own, or a label inside the image. Nothing is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bigunet.errors import OptionError
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.options.choices import OmeVersion
from bigunet.segmentation.output_kinds import OUTPUT_KINDS
from bigunet.segmentation.segment_options import SegmentOptions

RUN_FOLDER = "bigunet"
INSIDE_GROUP = OUTPUT_KINDS["classes"].group

_ZARR_FORMAT: dict[str, int] = {"0.4": 2, "0.5": 3}


@dataclass(frozen=True, slots=True)
class Place:
    """A store, and the group in it that the run owns.

    A run writes and removes nothing outside this group.

    Parameters
    ----------
    store : str
        Path of the root group: the output, or the image that gets labels.
    group : str
        Path of the group in the store; empty if the run owns the whole store.
    version : {"0.4", "0.5"}
        Version of OME-Zarr.
    """

    store: str
    group: str
    version: OmeVersion

    @property
    def folder(self) -> Path:
        """Path of the folder that the run owns."""
        return Path(self.store, self.group)

    @property
    def inside_image(self) -> bool:
        """Whether the output is a label inside the image."""
        return bool(self.group)

    @property
    def record(self) -> str:
        """Path in the store of the folder with the ledger and the report."""
        return f"{self.group}/{RUN_FOLDER}" if self.group else RUN_FOLDER


def choose_place(
    image: ImageDescription, target: str | Path | None, options: SegmentOptions
) -> Place:
    """The place at the path ``target``. If it is None: the label ``classes`` inside the image.

    Raises
    ------
    OptionError
        If labels cannot be written into the image, or not those that the options ask for.
    """
    chosen = options.ome_version
    if target is not None:
        return place_at(target, "0.5" if chosen == "auto" else chosen)
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


def check_inside_options(options: SegmentOptions) -> None:
    """Raise OptionError if the options ask for more than the classes of all of level 0."""
    is_refused = {
        f"output {', '.join(options.outputs)}": options.outputs not in ((), ("classes",)),
        f"roi {', '.join(options.roi)}": bool(options.roi),
        f"level {options.level}": options.level != 0,
    }
    for option, refused in is_refused.items():
        if refused:
            raise OptionError(
                f"{option}: inside an image only the classes of all of its level 0 are written; "
                "give an OUT"
            )


def _version_of(image: ImageDescription) -> OmeVersion:
    is_local = "://" not in image.url and Path(image.url).is_dir()
    if not isinstance(image, Multiscale) or not is_local:
        raise OptionError(f"{image.url} is not a local folder to write labels into; give an OUT")
    if image.is_label:
        raise OptionError(f"{image.url} is a label itself, and has none inside; give an OUT")
    for version in ("0.4", "0.5"):
        if (image.version, image.zarr_format) == (version, _ZARR_FORMAT[version]):
            return version
    what = f"OME-Zarr {image.version}" if image.version else "a bare array"
    raise OptionError(
        f"{image.url} is {what} in zarr {image.zarr_format}: labels go into OME-Zarr 0.4 of zarr 2 "
        "or 0.5 of zarr 3 only; give an OUT"
    )
