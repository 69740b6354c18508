"""Tables inside an OME-Zarr, in the layout that ngio and Fractal read: ``tables/NAME``.

::

    image.zarr/tables/            its attributes list the tables
      nuclei/                     what kind of table it is, and of which label
        table.parquet             or table.csv

References
----------
The tables of Fractal and ngio: https://biovisioncenter.github.io/ngio/stable/table_specs/overview/
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bigunet.errors import OutputError
from bigunet.io.output.writing import ZARR_FORMAT, open_group, writing
from bigunet.machine.files import replacing, swap_folders
from bigunet.urls import is_url

MADE_BY_KEY = "bigunet"
"""Attribute of a table that bigunet wrote: with which version, and by which verb."""
VERB_KEY = "verb"

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@contextmanager
def replacing_table_group(
    image: str | Path, name: str, attributes: Mapping[str, Any]
) -> Iterator[Path]:
    """Write a table that takes its place in an image when the block ends without an error.

    Who reads meanwhile, or after a kill, sees the former table, or the new one. One process at a
    time writes a table.

    Parameters
    ----------
    image : str or Path
        A local folder that is an OME-Zarr image of version 0.4, 0.5 or 0.6.
    name : str
        Of the table: letters, digits, ``_``, ``-`` and ``.``; a table of this name is replaced.
    attributes : mapping
        Of the group of the table, as JSON.

    Yields
    ------
    Path
        The folder in which the caller writes the file of the table.

    Raises
    ------
    OutputError
        If the image is no local folder, or the table cannot be written.
    """
    zarr_format = _zarr_format(image)
    if not _NAME.fullmatch(name):
        raise OutputError(f"a table cannot be named {name!r}; use letters, digits, _, - and .")
    tables = Path(image, "tables")
    partial = _partial(tables, name)
    with writing(f"the table {tables / name}"):
        _make_group(Path(image), "tables", zarr_format)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            _write_attributes(partial, attributes, zarr_format)
            swap_folders(partial, tables / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _list_table(tables, name, zarr_format)


def tables_of(image: str | Path) -> list[str]:
    """Names of the tables that a local image lists.

    Raises
    ------
    OutputError
        If the list cannot be read, or the image is no local OME-Zarr.
    """
    tables = Path(image, "tables")
    return list(_attributes(tables, _zarr_format(image)).get("tables", []))


def withdraw_tables(image: str | Path, names: Sequence[str]) -> None:
    """Take tables out of the list of tables of a local image; the others stay listed.

    Raises
    ------
    OutputError
        If the list cannot be read or written.
    """
    tables, zarr_format = Path(image, "tables"), _zarr_format(image)
    attributes = _attributes(tables, zarr_format)
    listed = attributes.get("tables", [])
    kept = [name for name in listed if name not in names]
    if kept != listed:
        with writing(f"the list of tables in {tables}"):
            _write_attributes(tables, attributes | {"tables": kept}, zarr_format)


def remove_partial_table(image: str | Path, name: str) -> None:
    """Remove what a killed writer of a table left; the table itself stays."""
    tables = Path(image, "tables")
    if not tables.is_symlink():
        shutil.rmtree(_partial(tables, name), ignore_errors=True)


def is_table_whole(image: str | Path, name: str) -> bool:
    """Whether a table is listed, and has its attributes."""
    try:
        return name in tables_of(image) and bool(table_attributes(image, name))
    except OutputError:
        return False


def table_attributes(image: str | Path, name: str) -> dict[str, Any]:
    """Attributes of a table in a local image; empty if there are none.

    Raises
    ------
    OutputError
        If they cannot be read, or the image is no local OME-Zarr.
    """
    return _attributes(Path(image, "tables", name), _zarr_format(image))


def _zarr_format(image: str | Path) -> int:
    if not is_url(str(image)):
        for name, number in (("zarr.json", 3), (".zgroup", 2)):
            if Path(image, name).is_file():
                return number
    raise OutputError(
        f"a table cannot be written into {image}: it is no local OME-Zarr; give --table FILE.csv"
    )


def _partial(tables: Path, name: str) -> Path:
    return tables / f".{name}.partial"


def _make_group(image: Path, path: str, zarr_format: int) -> None:
    version = next(key for key, number in ZARR_FORMAT.items() if number == zarr_format)
    if not (image / path / _metadata_name(zarr_format)).is_file():
        open_group(str(image), path, version)


def _metadata_name(zarr_format: int) -> str:
    return "zarr.json" if zarr_format == 3 else ".zgroup"


def _attributes(group: Path, zarr_format: int) -> dict[str, Any]:
    path = group / ("zarr.json" if zarr_format == 3 else ".zattrs")
    try:
        content = json.loads(path.read_text("utf-8"))
        return dict(content.get("attributes", {}) if zarr_format == 3 else content)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(f"cannot read {path}: repair or remove this file") from error


def _write_attributes(group: Path, attributes: Mapping[str, Any], zarr_format: int) -> None:
    """Write a group's metadata; a file that is there is replaced in one step."""
    if zarr_format == 3:
        content = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
        _write_json(group / "zarr.json", content)
    else:
        _write_json(group / ".zattrs", dict(attributes))
        _write_json(group / ".zgroup", {"zarr_format": 2})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2), "utf-8")


def _list_table(tables: Path, name: str, zarr_format: int) -> None:
    attributes = _attributes(tables, zarr_format)
    listed = dict.fromkeys([*attributes.get("tables", []), name])
    if list(listed) != attributes.get("tables"):
        _write_attributes(tables, attributes | {"tables": list(listed)}, zarr_format)
