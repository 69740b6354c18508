"""Segments many images into one folder, after a check of all images and outputs."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from distributed import Client

from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.dashboard.performance import check_report
from bigunet.errors import BigUNetError, ImageError, OptionError, OutputError
from bigunet.events import Notice, OnEvent
from bigunet.io.files.opening import open_image
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.plates import is_plate
from bigunet.machine.names import name_as_seen, usable_name
from bigunet.machine.processes import leave_if_imported_again
from bigunet.model.model import Model
from bigunet.options.choices import Existing
from bigunet.options.option_fields import chosen
from bigunet.options.option_kinds import check_existing
from bigunet.segmentation.image_list import list_images, stem_of
from bigunet.segmentation.model_choice import chosen_model
from bigunet.segmentation.place import choose_place
from bigunet.segmentation.run.target import check_target
from bigunet.segmentation.segment_keywords import SegmentKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport
from bigunet.segmentation.series import segment_series
from bigunet.segmentation.series_member import Member
from bigunet.segmentation.series_table import check_table, then_tables, write_table_of_all
from bigunet.stores.access import find_node
from bigunet.urls import shown_url

logger = logging.getLogger(__name__)


def segment_images(
    sources: str | Path | Iterable[str | Path],
    folder: str | Path,
    *,
    model: str | Path | Model = "nuclei",
    options: SegmentOptions | None = None,
    client: Client | ClusterSpec | None = None,
    existing: Existing = "refuse",
    stop: threading.Event | None = None,
    on_event: OnEvent | None = None,
    progress: bool = False,
    performance_path: str | Path | None = None,
    table: str | Path | None = None,
    **fields: Unpack[SegmentKeywords],
) -> Iterator[tuple[str, SegmentReport | BigUNetError]]:
    """Segment images into ``folder/NAME.zarr`` each.

    Before the first block, all images are opened, and all outputs are checked. Several images are
    at work at a time if one of them does not keep all workers busy. Images that are at work when
    the caller leaves the loop are interrupted, and can be resumed.

    Parameters
    ----------
    sources : path, URL, or several of them
        Images, patterns such as ``images/*.zarr``, and folders of images.
    folder : path
        Local folder of the outputs; it is made if it is missing. An output has the name of its
        image without ``.zarr``, ``.ome.zarr`` and the like.
    model, options, client, existing, stop, on_event, progress, performance_path, **fields
        As for `segment`. The model is loaded once, the workers are started once, and there is one
        performance report for all images. With ``existing="resume"`` finished outputs stay,
        unfinished ones are continued, and missing ones are begun. Events have the name of their
        image, and come from several threads, but never two at a time.

    table : path, optional
        File for one table of the objects of all images, ``.csv`` or ``.parquet``, written after the
        last image. Its column ``image`` has the name of the output. Images that failed are left
        out.

    Yields
    ------
    tuple of str and (SegmentReport or BigUNetError)
        Path of an image, and its report or its error; in the order of the images.

    Raises
    ------
    BigUNetError
        If an image cannot be opened, two images have the same name, or an output may not be
        written: then nothing is done. StoppedError, if ``stop`` was set before the end.
    """
    leave_if_imported_again()
    check_report(performance_path)
    options = chosen(SegmentOptions, options, fields, segment_images)
    if isinstance(sources, (str, Path)):
        sources = [sources]
    folder = _usable(folder)
    images, left_out = list_images(sources, outputs=folder)
    if left_out:
        line = f"left out {len(left_out)} outputs of bigunet, the first {left_out[0]}"
        logger.info("%s", line) if on_event is None else on_event(Notice(line))
    if not images:
        raise ImageError("no image was given, so there is nothing to segment")
    members = _named(images, folder)
    _check(members, options, check_existing(existing))
    loaded = chosen_model(model, options)
    if table is not None:
        check_table(Path(table), loaded.description, options, made=Path(folder))
    outcomes = segment_series(
        members,
        kind="image",
        about=f"{len(members)} images to {folder}",
        model=loaded,
        options=options,
        client=client,
        existing=existing,
        stop=stop,
        on_event=on_event,
        progress=progress,
        performance_path=performance_path,
    )
    image_of = {member.name: stem_of(member.source) for member in members}

    def write(tables: Mapping[str, Path], failed: Sequence[str]) -> None:
        if table is not None:
            write_table_of_all(tables, lambda name: {"image": image_of[name]}, Path(table))

    yield from then_tables(outcomes, write)


def _usable(folder: str | Path) -> str:
    """The absolute path of the folder, if outputs may lie in it."""
    text = os.fspath(folder)
    if "://" in text:
        raise OptionError(f"folder {text}: give a local one; object stores can only be read")
    path = os.path.abspath(os.path.expanduser(text))
    if os.path.lexists(path) and not os.path.isdir(path):
        raise OutputError(f"{path} is not a folder, and each image wants an output in it")
    if find_node(path) is not None:
        raise OutputError(f"{path} is a zarr itself; give a folder for the outputs that is none")
    return path


def _named(images: Sequence[str], folder: str) -> tuple[Member, ...]:
    """The images with their outputs. Two images cannot have the same output."""
    taken: dict[str, str] = {}
    members = []
    for image in images:
        name = usable_name(f"{stem_of(image)}.zarr")
        other = taken.setdefault(name_as_seen(name), image)
        if other is not image:
            raise OptionError(
                f"{other} and {image} would both become {name}; rename one of them, or segment "
                "them into two folders"
            )
        members.append(Member(shown_url(image), image, os.path.join(folder, name)))
    return tuple(members)


def _check(members: Sequence[Member], options: SegmentOptions, existing: Existing) -> None:
    """Check that each image can be opened, and each output be written. Nothing is changed."""
    owner_of = {os.path.realpath(str(member.target)): member for member in members}
    for member in members:
        image = _opened(member.source, options.axes)
        place = choose_place(image, member.target, options)
        check_target(place, image.url, existing=existing, read=options.read_besides)
        for folder in Path(os.path.realpath(image.url)).parents:
            if str(folder) in owner_of:
                owner = owner_of[str(folder)]
                raise OptionError(
                    f"{member.source} lies in {folder}, where the output of {owner.source} goes; "
                    "give another folder"
                )


def _opened(source: str, axes: str) -> ImageDescription:
    try:
        return open_image(source, axes=axes)
    except ImageError as error:
        if not is_plate(source):
            raise
        raise OptionError(
            f"{source} is a plate or well, not an image; segment it alone, into itself, or give "
            "its fields"
        ) from error
