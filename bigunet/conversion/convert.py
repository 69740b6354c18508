"""Write an image of any format as OME-Zarr, out of core and in parallel."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from distributed import Client

from bigunet.conversion.convert_folder import convert_to_folder
from bigunet.conversion.convert_options import ConvertKeywords, ConvertOptions
from bigunet.conversion.convert_plan import ConvertPlan
from bigunet.conversion.convert_record import check_place
from bigunet.conversion.convert_report import ConvertReport
from bigunet.conversion.packing import Archive, is_packed_as_it_is, pack_converted, pack_folder
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.event_bar import drawn
from bigunet.events import Notice, OnEvent
from bigunet.io.files.opening import open_image
from bigunet.io.images.limits import some_of
from bigunet.io.images.lists import listed_names
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.machine.processes import leave_if_imported_again
from bigunet.options.choices import Existing
from bigunet.options.option_fields import chosen
from bigunet.options.option_kinds import check_existing
from bigunet.segmentation.place import place_at, usual_version
from bigunet.urls import shown_url, without_secrets

logger = logging.getLogger(__name__)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    options: ConvertOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    progress: bool = False,
    **fields: Unpack[ConvertKeywords],
) -> ConvertReport:
    """Write an image as OME-Zarr with a pyramid; level 0 has the very voxels of the image.

    Parameters
    ----------
    source : path or URL
        A TIFF, slide, picture, CZI, ND2 or LIF file, or a zarr. Behind the path of a file with
        several images, ``#2`` stands for the image with this index.
    target : path
        Path of the output: a folder, or a file ``OUT.ozx``. An OME-Zarr folder of version 0.5 or
        0.6 becomes such a file as it is, with its labels and tables.
    options : ConvertOptions, optional
    client : distributed.Client or ClusterSpec, optional
        Workers that are there, or those to start; as for `segment`.
    existing : {"refuse", "resume", "overwrite"}
        What to do if the target exists.
    stop : threading.Event, optional
        If it is set, no further block begins, and the conversion ends with StoppedError.
    on_event : callable, optional
        Receives each event of the run, as `segment` passes them on.
    progress : bool
        As for `segment`.
    **fields
        Fields of ConvertOptions, such as ``ome_version="0.4"``.

    Returns
    -------
    ConvertReport

    Raises
    ------
    BigUNetError
        A subclass of it, for each error that the caller can correct.
    """
    leave_if_imported_again()
    options = chosen(ConvertOptions, options, fields, convert)
    existing = check_existing(existing)
    archive = Archive.of(target)
    image = open_image(source, axes=options.axes)
    with drawn(on_event, progress=progress) as hear:
        way = _Way(options, client, existing, stop, hear)
        if archive is None:
            return _convert(image, target, way)
        archive.check(image.url, existing, options)
        with archive.locked():
            # Another process may have written it meanwhile.
            archive.check(image.url, existing, options)
            if is_packed_as_it_is(image, options):
                _say(image.notes, hear)
                return pack_folder(archive, image, stop=stop, on_event=hear)
            report = _convert(image, archive.unpacked, way)
            version = usual_version(options.ome_version)
            return pack_converted(archive, report, version, stop=stop, on_event=hear)


@dataclass(frozen=True, slots=True)
class _Way:
    """How a caller of `convert` wants it done."""

    options: ConvertOptions
    client: Client | ClusterSpec | None
    existing: Existing
    stop: threading.Event | None
    on_event: OnEvent | None


def _convert(image: ImageDescription, target: str | Path, way: _Way) -> ConvertReport:
    """Convert an image to a folder."""
    version = usual_version(way.options.ome_version)
    place = place_at(target, version)
    plan = ConvertPlan.of(image, place, replace(way.options, ome_version=version))
    check_place(place, image.url, way.existing)
    _say((*image.notes, *_not_copied(image)), way.on_event)
    return convert_to_folder(
        plan, place, way.client, existing=way.existing, stop=way.stop, on_event=way.on_event
    )


def _not_copied(image: ImageDescription) -> tuple[str, ...]:
    """A line that names labels and tables in the image, which stay where they are."""
    if not isinstance(image, Multiscale) or not image.version:
        return ()
    listed = {kind: listed_names(image.url, kind) for kind in ("labels", "tables")}
    held = [f"{kind} {some_of(names, len(names))}" for kind, names in listed.items() if names]
    what = f"{shown_url(image.url)} holds {' and '.join(held)}, which are not copied"
    return (what,) if held else ()


def _say(notes: tuple[str, ...], on_event: OnEvent | None) -> None:
    for line in notes:
        if on_event is None:
            logger.warning("%s", without_secrets(line))
        else:
            on_event(Notice(f"Warning: {line}"))
