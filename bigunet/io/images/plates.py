"""Plates and wells: the fields that they list, and which of these fields are stored."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigunet.errors import ImageError
from bigunet.io.images import ngff
from bigunet.io.images.groups import group_metadata, numbered_nodes
from bigunet.io.images.limits import MAX_FIELDS, MAX_WELLS, check_count, some_of
from bigunet.stores.access import find_node, join_url, normal_url, shown_url

_NUM_EXAMPLES = 3
_NUM_WELLS_TRIED = 12


@dataclass(frozen=True, slots=True)
class Plate:
    """The fields of a plate or a well, in the order of its list.

    Parameters
    ----------
    url : str
    fields : tuple of str
        Paths of the stored fields, below the plate or well.
    missing_wells : tuple of str
        Paths of the wells that are listed but not stored.
    missing_fields : tuple of str
        Paths of the fields that are listed but not stored, in wells that are stored.
    name : str
        Name that the plate states, or that of its folder.
    well : str
        Path of the well in its plate, if ``url`` is one well; else empty.
    """

    url: str
    fields: tuple[str, ...]
    missing_wells: tuple[str, ...] = ()
    missing_fields: tuple[str, ...] = ()
    name: str = ""
    well: str = ""

    def names_of(self, field: str) -> dict[str, str]:
        """What a field is called in a table: plate, well such as ``A01``, and field of the well.

        >>> Plate("p.zarr", ("B/03/0",), name="p").names_of("B/03/0")
        {'plate': 'p', 'well': 'B03', 'field': '0'}
        """
        well, _, name = field.rpartition("/")
        return {"plate": self.name, "well": (well or self.well).replace("/", ""), "field": name}

    @property
    def missing(self) -> tuple[str, ...]:
        """Paths of the wells and fields that are listed but not stored, wells first."""
        return self.missing_wells + self.missing_fields

    @property
    def notes(self) -> tuple[str, ...]:
        """A line about wells and fields that are listed but not stored; empty if there are none."""
        if not self.missing:
            return ()
        groups = ((self.missing_wells, "well"), (self.missing_fields, "field"))
        counted = " and ".join(
            f"{len(paths)} {noun}" + ("s" if len(paths) > 1 else "")
            for paths, noun in groups
            if paths
        )
        verb = "are" if len(self.missing) > 1 else "is"
        examples = some_of(self.missing, len(self.missing))
        return (f"{shown_url(self.url)} lists {counted} that {verb} not stored: {examples}",)


def is_plate(url: str | Path) -> bool:
    """Whether a plate or a well is stored at ``url``; False if the metadata cannot be read."""
    try:
        _, ome = group_metadata(normal_url(url))
    except ImageError:
        return False
    return "multiscales" not in ome and ("plate" in ome or "well" in ome)


def open_plate(url: str | Path) -> Plate:
    """List the fields of a plate or a well, and see which of them are stored.

    Raises
    ------
    ImageError
        If ``url`` is neither a plate nor a well, or its metadata cannot be read.
    """
    url = normal_url(url)
    _, ome = group_metadata(url)
    if "plate" not in ome and "well" not in ome:
        raise ImageError(f"{url} is neither a plate nor a well, so it has no fields")
    fields: list[str] = []
    missing_wells: list[str] = []
    missing_fields: list[str] = []
    for well in _wells(url, ome):
        listed = _fields_of(url, well, ome)
        if listed is None:
            missing_wells.append(well)
            continue
        num_listed = len(fields) + len(missing_fields) + len(listed)
        check_count(num_listed, MAX_FIELDS, f"{url}: wells", "fields")
        for field in listed:
            (fields if _is_stored(url, field) else missing_fields).append(field)
    name, of_well = _names(url, ome)
    return Plate(
        url, tuple(fields), tuple(missing_wells), tuple(missing_fields), name=name, well=of_well
    )


def example_fields(url: str, ome: dict[str, Any]) -> str:
    """Addresses of a few fields, for the message that a plate or a well is not one image."""
    wells = _wells(url, ome)[:_NUM_WELLS_TRIED]
    listed = itertools.chain.from_iterable(_fields_of(url, well, ome) or () for well in wells)
    examples = itertools.islice(listed, _NUM_EXAMPLES)
    return ", ".join(join_url(url, field) for field in examples) or "none is listed"


def _names(url: str, ome: dict[str, Any]) -> tuple[str, str]:
    """Name of the plate; and the path of the well in it, if one well is at ``url``."""
    if "plate" in ome:
        stated = ome["plate"].get("name") if isinstance(ome["plate"], dict) else None
        return (stated if isinstance(stated, str) and stated else _stem(url)), ""
    plate, *well = url.rstrip("/").rsplit("/", 2)
    if well[1:] and is_plate(plate):
        _, metadata = group_metadata(plate)
        return _names(plate, metadata)[0], "/".join(well)
    return "", _stem(url)


def _stem(url: str) -> str:
    name = url.rstrip("/").rpartition("/")[2]
    return name.removesuffix(".zarr").removesuffix(".ome") or name


def _wells(url: str, ome: dict[str, Any]) -> list[str]:
    """Paths of the wells that a plate lists, each once; for a well, the empty path to itself."""
    if "plate" not in ome:
        return [""]
    plate = ngff.parse_object(ome["plate"], f"{url}: plate")
    listed = ngff.parse_list(plate.get("wells"), f"{url}: wells")
    check_count(len(listed), MAX_WELLS, f"{url}: wells", "wells")
    wells = []
    for k, item in enumerate(listed):
        well = ngff.parse_object(item, f"{url}: wells[{k}]")
        wells.append(ngff.parse_path(well.get("path"), f"{url}: wells[{k}].path"))
    return _once(wells)


def _fields_of(url: str, well: str, ome: dict[str, Any]) -> list[str] | None:
    """Paths, below the plate, of the fields that a well lists; None if the well is not stored."""
    if not well:
        return _once(_well_fields(url, ome))
    if not _is_stored(url, well):
        return None
    place = join_url(url, well)
    _, metadata = group_metadata(place)
    fields = _once(f"{well}/{field}" for field in _well_fields(place, metadata))
    # An interrupted copy of a well leaves a folder with neither metadata nor fields.
    return fields if fields or "well" in metadata else None


def _well_fields(url: str, ome: dict[str, Any]) -> Iterator[str]:
    """Paths of the fields that a well lists, below the well."""
    if "well" not in ome:  # some writers describe only the plate, and number the fields
        yield from numbered_nodes(url)
        return
    well = ngff.parse_object(ome["well"], f"{url}: well")
    listed = ngff.parse_list(well.get("images"), f"{url}: images")
    check_count(len(listed), MAX_FIELDS, f"{url}: images", "fields")
    for k, item in enumerate(listed):
        image = ngff.parse_object(item, f"{url}: images[{k}]")
        yield ngff.parse_path(image.get("path"), f"{url}: images[{k}].path")


def _is_stored(url: str, path: str) -> bool:
    if os.path.isdir(url) and not os.path.isdir(join_url(url, path)):
        return False  # faster than zarr, because most wells of a plate may be missing
    return find_node(url, path) is not None


def _once(paths: Iterable[str]) -> list[str]:
    """Each path once, in the order of the first occurrence."""
    return list(dict.fromkeys(paths))
