"""Laws of ``wells`` and ``fields``: names of wells, patterns, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import zarr
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

import bigunet as package
from bigunet.errors import OptionError
from bigunet.io.images.plates import Plate
from bigunet.segmentation.well_choice import chosen_fields

PLATE = Plate(
    "/p.zarr",
    ("A/1/0", "A/1/1", "A/12/0", "B/2/0", "B/02/3"),
    missing_wells=("B/3", "C/3"),
    missing_fields=("A/1/7", "B/2/9"),
)


@pytest.mark.parametrize(
    ("wells", "fields", "kept"),
    [
        ((), (), ["A/1/0", "A/1/1", "A/12/0", "B/2/0", "B/02/3"]),  # all
        (["A01"], (), ["A/1/0", "A/1/1"]),  # as on the plate
        (["a1", "A12"], (), ["A/1/0", "A/1/1", "A/12/0"]),  # without zeros, in small letters
        (["B2"], (), ["B/2/0", "B/02/3"]),  # however the folder is named
        (["A/12"], ["0"], ["A/12/0"]),  # the path
        (["B*"], (), ["B/2/0", "B/02/3"]),  # a row
        (["?01", "?02"], ["[03]"], ["A/1/0", "B/2/0", "B/02/3"]),  # columns
        (["B*", "A1"], ["0"], ["A/1/0", "B/2/0"]),  # in the order of the plate
        ("A01, B*", "1,3", ["A/1/1", "B/02/3"]),  # text of the command
    ],
)
def test_names_and_patterns_choose_fields_in_the_order_of_the_plate(
    wells: Any, fields: Any, kept: list[str]
) -> None:
    assert list(chosen_fields(PLATE, wells, fields).fields) == kept


def test_what_is_not_stored_is_said_of_the_chosen_wells_alone() -> None:
    chosen = chosen_fields(PLATE, ["B*"], ())
    assert (chosen.missing_wells, chosen.missing_fields) == (("B/3",), ("B/2/9",))
    assert chosen_fields(PLATE, ["B*"], ["0"]).missing == ("B/3",)


@pytest.mark.parametrize(
    ("wells", "fields", "says"),
    [
        (["A1", "D*"], (), r"wells 'D\*' matches no well with a stored field in /p.zarr; it has "
         "A/1, A/12, B/2, B/02$"),
        (["C3"], (), "wells 'C3' matches no well with a stored field"),
        ((), ["5"], "fields '5' matches no field .*; it has 0, 1, 3$"),
        (["A12"], ["1"], "fields '1' matches no field .*; it has 0$"),
        (["A1", ""], (), "wells .*: give names or patterns, such as A01,B"),
    ],
)  # fmt: skip
def test_what_matches_nothing_is_refused_with_the_list(wells: Any, fields: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        chosen_fields(PLATE, wells, fields)


@given(st.sets(st.tuples(st.sampled_from("ABCH"), st.integers(1, 12)), min_size=1), st.data())
def test_each_well_is_chosen_by_its_name_alone(wells: set[tuple[str, int]], data: Any) -> None:
    plate = Plate("/p.zarr", tuple(f"{row}/{column}/0" for row, column in sorted(wells)))
    row, column = data.draw(st.sampled_from(sorted(wells)))
    for name in (f"{row}{column}", f"{row}{column:02d}", f"{row}/{column}"):
        assert chosen_fields(plate, [name], ()).fields == (f"{row}/{column}/0",)


@pytest.fixture
def plate(tmp_path: Path, write_image: Any) -> Path:
    path = tmp_path / "plate.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/1"}]}
    for well in ("A/1", "B/1"):
        root.require_group(well).attrs["well"] = {"images": [{"path": "0"}, {"path": "1"}]}
        for field in "01":
            write_image(path / well / field, shape=(30, 40))
    return path


def test_the_command_and_python_write_the_chosen_fields_alone(
    bigunet: Any, plate: Path, tiny_model: Path, client: Client
) -> None:
    workers = ("--model", tiny_model, "--scheduler", client.scheduler.address, "--json")
    done = bigunet("segment", plate, *workers, "--wells", "A01,B*", "--fields", "1")
    assert (done.code, list(done.json["fields"])) == (0, ["A/1/1", "B/1/1"])
    written = sorted(str(path.relative_to(plate)) for path in plate.rglob("classes"))
    assert written == ["A/1/1/labels/classes", "B/1/1/labels/classes"]
    given: dict[str, Any] = {"model": tiny_model, "client": client}
    fields = dict(package.segment_fields(plate, wells=["A1"], fields=["0"], **given))
    assert list(fields) == ["A/1/0"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["plate.zarr", "--wells", "X1"], "wells 'X1' matches no well .*it has A/1, B/1$"),
        (["plate.zarr/A/1", "--wells", "A1"], "is one well, not a plate: give no wells"),
        (["plate.zarr/A/1/0", "--wells", "A1"], "--wells is for a plate without OUT"),
        (["plate.zarr/A/1/0", "--into", "out", "--fields", "0"], "--fields is for a plate"),
    ],
)
def test_parts_of_what_is_no_plate_are_refused_in_one_line(
    bigunet: Any, plate: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(plate.parent)
    done = bigunet("segment", *words)
    assert (done.code, len(done.messages)) == (1, 1)
    assert re.search(says, done.messages[0])
