"""What is known of each object: its table, and the names of classes, as segment properties."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import BigUNetError
from bigunet.io.output.table_group import table_attributes, tables_of
from bigunet.measuring.table_reading import read_table
from bigunet.viewing.scene import ValueLook

MOST_OBJECTS = 300_000
"""A browser holds the values of no more objects."""
_HIDDEN = ("bbox",)
_FIRST = ("area", "volume")


@dataclass(frozen=True)
class ObjectValues:
    """The values of a table of objects, for a viewer; they are read at the first look.

    Parameters
    ----------
    table : Path
    """

    table: Path

    def get(self, key: str) -> bytes | None:
        """The bytes of a key of neuroglancer's segment properties; it has one key, ``info``.

        Raises
        ------
        OutputError
            If the table cannot be read.
        """
        return self._info if key == "info" else None

    @cached_property
    def _info(self) -> bytes:
        return properties_json(read_table(self.table, most_rows=MOST_OBJECTS))


@dataclass(frozen=True)
class ClassNames:
    """The names of the values of a label image, for a viewer."""

    values: Mapping[int, ValueLook]

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, as :meth:`ObjectValues.get`."""
        if key != "info":
            return None
        named = {value: look.name for value, look in self.values.items() if value}
        return _info(list(named), [_property("name", "label", list(named.values()))])


def table_of(store: str, label: str) -> Path | None:
    """The file of a table of the objects of ``labels/LABEL`` in a local image, if there is one."""
    try:
        for name in tables_of(store):
            attributes = table_attributes(store, name)
            region = attributes.get("region")
            path = region.get("path") if isinstance(region, dict) else None
            is_table = attributes.get("type") == "feature_table"
            if is_table and str(path).rstrip("/").endswith(f"labels/{label}"):
                return _file_in(Path(store, "tables", name))
    except BigUNetError:
        # A viewer shows labels, even if it cannot read their table.
        return None
    return None


def _file_in(folder: Path) -> Path | None:
    files = [folder / f"table{suffix}" for suffix in (".parquet", ".csv")]
    return next((file for file in files if file.is_file()), None)


def properties_json(columns: Mapping[str, np.ndarray]) -> bytes:
    """The segment properties of the columns of a table, which has a column ``label``.

    Texts become tags, truths become a tag where they are true, numbers become numbers. Corners of
    boxes are left out. Each object has a line that viewers show beside its number.
    """
    ids = [str(int(label)) for label in columns["label"]]
    shown = {n: c for n, c in columns.items() if n != "label" and not n.startswith(_HIDDEN)}
    numbers = {n: c for n, c in shown.items() if c.dtype.kind in "iuf"}
    tagged = {n: c for n, c in shown.items() if c.dtype.kind in "Ub"}
    properties = [_property("line", "label", _lines(numbers, len(ids)))]
    if tagged:
        properties.append(_tags(tagged))
    properties += [_number(name, column) for name, column in numbers.items()]
    return _info(ids, properties)


def _info(ids: list[Any], properties: list[dict[str, Any]]) -> bytes:
    inline = {"ids": [str(k) for k in ids], "properties": properties}
    return json.dumps({"@type": "neuroglancer_segment_properties", "inline": inline}).encode()


def _property(name: str, kind: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "type": kind, "values": values, **more}


def _number(name: str, column: np.ndarray) -> dict[str, Any]:
    """A column of numbers. JSON has no infinities and no missing numbers: these are words."""
    whole = np.iinfo(np.int32)
    if column.dtype.kind in "iu" and np.all((column >= whole.min) & (column <= whole.max)):
        # Fractions of 32 bits would round numbers above 16 million.
        return _property(name, "number", column.tolist(), data_type="int32")
    values = [_in_json(value) for value in column.astype(np.float32).tolist()]
    return _property(name, "number", values, data_type="float32")


def _in_json(value: float) -> float | str:
    if math.isfinite(value):
        return float(f"{value:.7g}")
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _tags(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    names: dict[str, int] = {}
    rows: list[list[int]] = [[] for _ in next(iter(columns.values()))]
    for name, column in columns.items():
        for row, value in zip(rows, column.tolist()):
            word = (name if value else "") if isinstance(value, bool) else str(value)
            if word:
                row.append(names.setdefault(word.replace(" ", "_"), len(names)))
    return _property("tags", "tags", [sorted(set(row)) for row in rows], tags=list(names))


def _short(value: float) -> str:
    """A number for people: whole, or of four digits.

    >>> _short(1234567), _short(19.7834), _short(20000.4)
    ('1,234,567', '19.78', '20,000')
    """
    is_whole = isinstance(value, int) or abs(value) >= 1000
    return f"{value:,.0f}" if is_whole else f"{value:.4g}"


def _lines(numbers: Mapping[str, np.ndarray], count: int) -> list[str]:
    """A line about each object: its size, and its mean grey values."""
    means = [name for name in numbers if name.startswith("intensity_mean")]
    first = [name for name in numbers if name in _FIRST]
    parts = []
    for name in first + means[:3]:
        word = name.removeprefix("intensity_").replace("-", " ")
        parts.append([f"{word} {_short(value)}" for value in numbers[name].tolist()])
    return [", ".join(row) for row in zip(*parts)] if parts else [""] * count
