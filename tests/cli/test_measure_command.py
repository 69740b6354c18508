"""``bigunet measure``: one line, or one JSON object, and the table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.stored_objects import objects, write_labelled

import bigunet as library


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_labelled(tmp_path / "image.zarr", objects((40, 50)), np.ones((1, 40, 50)), "yx")
    return tmp_path / "image.zarr"


def test_one_line_says_how_many_how_large_and_where(bigunet: Any, image: Path) -> None:
    areas = library.measure(image / "labels" / "cells", image)["area_um2"]
    outcome = bigunet("measure", image, "cells")
    table = image / "tables" / "cells"
    median = f"{np.median(areas):.4g} µm²"
    assert outcome.out == f"{len(areas)} objects, median area {median}; table: {table}\n"
    assert (table / "table.parquet").exists()


def test_the_options_reach_the_table(bigunet: Any, image: Path, tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    given = ("--class-name", "cell", "--voxel-size", 2, "--voxel-size", 3, "--level", 0, "--json")
    outcome = bigunet("measure", image, image / "labels" / "cells", "--table", file, *given)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert outcome.json["num_objects"] == len(rows)
    assert (outcome.json["unit"], outcome.json["table"]) == ("µm²", str(file))
    assert {row["class"] for row in rows} == {"cell"}
    assert all(float(row["area_um2"]) == 6 * int(row["area"]) for row in rows)


def test_an_image_without_objects_has_no_median(bigunet: Any, tmp_path: Path) -> None:
    image = tmp_path / "image.zarr"
    write_labelled(image, np.zeros((9, 9), int), np.ones((1, 9, 9)), "yx")
    outcome = bigunet("measure", image, "cells", "--table", tmp_path / "none.csv")
    assert outcome.out == f"0 objects; table: {tmp_path / 'none.csv'}\n"
    assert bigunet("measure", image, "cells", "--json").json["median_size"] is None
