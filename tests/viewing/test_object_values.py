"""The values of a table, as viewers read them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bigunet.errors import OutputError
from bigunet.measuring.files import write_table
from bigunet.viewing.object_values import ClassNames, ObjectValues, properties_json
from bigunet.viewing.scene import ValueLook


def parsed(content: bytes | None) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Ids, and properties by name; strict JSON, as browsers read it."""

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    data = json.loads(content or b"", parse_constant=refuse)
    assert data["@type"] == "neuroglancer_segment_properties"
    inline = data["inline"]
    assert all(len(one["values"]) == len(inline["ids"]) for one in inline["properties"])
    return inline["ids"], {one["id"]: one for one in inline["properties"]}


@given(values=npst.arrays(np.float64, st.integers(0, 8), elements=st.floats(width=32)))
def test_each_number_comes_back_and_none_breaks_the_json(values: np.ndarray) -> None:
    labels = np.arange(1, len(values) + 1)
    ids, properties = parsed(properties_json({"label": labels, "size": values}))
    assert ids == [str(k) for k in labels]
    for seen, value in zip(properties["size"]["values"], values):
        # JavaScript reads these words as numbers, too.
        number = float(seen)
        assert math.isnan(number) if math.isnan(value) else number == pytest.approx(value, rel=1e-6)


def test_texts_and_truths_are_tags_and_boxes_are_left_out(tmp_path: Path) -> None:
    table = {
        "label": np.array([3, 2**53 + 1]),
        "class": np.array(["cell", "big cell"]),
        "area": np.array([12, 900]),
        "bbox-0": np.array([0, 1]),
        "intensity_mean-DAPI": np.array([1.25, 20000.0]),
        "cut": np.array([True, False]),
    }
    for name in ("table.csv", "table.parquet"):
        write_table(table, tmp_path / name)
        ids, properties = parsed(ObjectValues(tmp_path / name).get("info"))
        assert ids == ["3", "9007199254740993"]
        assert list(properties) == ["line", "tags", "area", "intensity_mean-DAPI"]
        assert properties["line"]["values"] == [
            "area 12, mean DAPI 1.25",
            "area 900, mean DAPI 20,000",
        ]
        tags = [
            [properties["tags"]["tags"][k] for k in row] for row in properties["tags"]["values"]
        ]
        assert tags == [["cell", "cut"], ["big_cell"]]


def test_an_empty_table_has_no_objects(tmp_path: Path) -> None:
    write_table({"label": np.zeros(0, np.int64), "area": np.zeros(0)}, tmp_path / "t.csv")
    assert parsed(ObjectValues(tmp_path / "t.csv").get("info"))[0] == []


def test_classes_have_names_but_the_background_has_none() -> None:
    values = {0: ValueLook("background", ""), 1: ValueLook("cell", ""), 2: ValueLook("edge", "")}
    names = ClassNames(values)
    ids, properties = parsed(names.get("info"))
    assert (ids, properties["name"]["values"]) == (["1", "2"], ["cell", "edge"])
    assert names.get("other") is None


def test_a_table_that_is_gone_is_an_error_of_one_line(tmp_path: Path) -> None:
    values = ObjectValues(tmp_path / "t.csv")
    assert values.get("other") is None
    with pytest.raises(OutputError, match="cannot be read"):
        values.get("info")


def test_whole_numbers_are_not_rounded() -> None:
    columns = {"label": np.array([1, 2]), "area": np.array([2**24 + 1, 5], np.int64)}
    area = parsed(properties_json(columns))[1]["area"]
    assert (area["values"], area["data_type"]) == ([2**24 + 1, 5], "int32")
