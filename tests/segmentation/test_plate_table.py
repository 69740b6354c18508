"""Laws of the table of a plate: the rows of its fields, in its order, whatever happened before."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pandas
import pytest
import zarr
from distributed import Client
from support.classes_as_image import classes_model
from support.classes_in_ome_zarr import OBJECTS, some_classes, write_classes_image

import bigunet as package
from bigunet import SegmentReport
from bigunet.errors import BigUNetError, OptionError, OutputError, StoppedError
from bigunet.events import Notice
from bigunet.segmentation import series

# Many runs each.
pytestmark = pytest.mark.slow

MODEL = classes_model(2)
FIELDS = {"A/01/0": ("classes", "DAPI"), "A/01/1": ("classes", "GFP"), "B/02/0": ("classes",)}


def write_plate(path: Path, version: str = "0.5") -> Path:
    """A plate of three fields in two wells, in an order of its own, with different channels."""
    root = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    wells = [{"path": p, "rowIndex": p == "B/02", "columnIndex": 0} for p in ("B/02", "A/01")]
    plate: dict[str, Any] = {"name": "screen 7", "wells": wells}
    plate |= {"rows": [{"name": n} for n in "AB"], "columns": [{"name": n} for n in ("01", "02")]}
    wrapped = {"plate": plate | {"version": version}}
    root.attrs.update(wrapped if version == "0.4" else {"ome": wrapped | {"version": "0.5"}})
    for well in ("A/01", "B/02"):
        images = [{"path": f.rpartition("/")[2]} for f in FIELDS if f.startswith(well)]
        content = {"well": {"images": images, "version": version}}
        group = root.require_group(well)
        group.attrs.update(content if version == "0.4" else {"ome": content | {"version": "0.5"}})
    for number, (field, channels) in enumerate(FIELDS.items()):
        classes = some_classes(40, 33 + number, seed=number)
        write_classes_image(path / field, classes, version=version, levels=1, channels=channels)
    return path


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    return write_plate(tmp_path / "plate.zarr")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One field at a time, as if it kept all workers busy."""
    monkeypatch.setattr(series, "blocks_enough", lambda client: 1)


def segment(plate: Path, client: Client, **more: Any) -> dict[str, SegmentReport | BigUNetError]:
    options = OBJECTS | more
    return dict(package.segment_fields(plate, model=MODEL, client=client, **options))


def expected_of(plate: Path, *fields: str) -> pandas.DataFrame:
    """Tables of fields under one another, as pandas joins them."""
    frames = []
    for field in fields:
        frame = pandas.read_parquet(plate / field / "tables/instances/table.parquet")
        well, _, name = field.rpartition("/")
        names = {"plate": "screen 7", "well": well.replace("/", ""), "field": name}
        for place, (column, value) in enumerate(names.items()):
            frame.insert(place, column, value)
        frames.append(frame)
    return pandas.concat(frames, ignore_index=True)


def table_of(plate: Path) -> pandas.DataFrame:
    return pandas.read_parquet(plate / "tables/instances/table.parquet")


def same(table: pandas.DataFrame, expected: pandas.DataFrame) -> None:
    assert list(table.columns) == list(expected.columns)
    pandas.testing.assert_frame_equal(table, expected, check_dtype=False, check_exact=True)


ALL = ("B/02/0", "A/01/0", "A/01/1")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_table_of_a_plate_has_the_rows_of_its_fields_in_its_order(
    tmp_path: Path, client: Client, version: str
) -> None:
    plate = write_plate(tmp_path / "plate.zarr", version)
    reports = segment(plate, client, table=tmp_path / "cells.csv")
    table, expected = table_of(plate), expected_of(plate, *ALL)
    same(table, expected)
    same(pandas.read_csv(tmp_path / "cells.csv", dtype={"well": str, "field": str}), expected)
    assert len(table) == sum(r.objects.num_objects for r in reports.values())  # type: ignore[union-attr]
    assert table["intensity_mean-GFP"].isna().sum() == (table["field"] != "1").sum()
    attributes = zarr.open_group(plate / "tables/instances", mode="r").attrs
    assert attributes["type"] == "generic_table"
    assert zarr.open_group(plate / "tables", mode="r").attrs["tables"] == ["instances"]
    assert [path.name for path in (plate / "tables").glob(".*") if path.is_dir()] == []


@pytest.mark.usefixtures("alone")
def test_its_bytes_depend_on_no_order_and_no_interrupt(plate: Path, client: Client) -> None:
    stop = threading.Event()
    outcomes = package.segment_fields(plate, model=MODEL, client=client, stop=stop, **OBJECTS)
    assert next(outcomes)[0] == "B/02/0"
    stop.set()
    with pytest.raises(StoppedError):
        list(outcomes)
    assert not (plate / "tables").exists()
    segment(plate, client, existing="resume")
    at_once = (plate / "tables/instances/table.parquet").read_bytes()
    for field in ("A/01", "B/02"):
        segment(plate, client, existing="overwrite", wells=[field.replace("/", "")])
    assert (plate / "tables/instances/table.parquet").read_bytes() == at_once
    (plate / "tables/instances/table.parquet").unlink()
    segment(plate, client, existing="resume")
    assert (plate / "tables/instances/table.parquet").read_bytes() == at_once


def test_a_field_that_failed_is_left_out_until_it_is_done(
    bigunet: Any, plate: Path, tiny_model: Path, client: Client
) -> None:
    metadata = (plate / "A/01/0/0/zarr.json").read_text()
    (plate / "A/01/0/0/zarr.json").unlink()
    words = [
        "--model", tiny_model, "--scheduler", client.scheduler.address, "--object-class", "1",
        "--channel", "0", "--grey-range", "0:2",
    ]  # fmt: skip
    done = bigunet("segment", plate, *words, "--json")
    assert done.code == 1
    same(table_of(plate), expected_of(plate, "B/02/0", "A/01/1"))
    assert done.json["objects"] == len(table_of(plate))
    assert done.json["tables"] == [str(plate / "tables/instances/table.parquet")]
    assert done.messages[-1] == "Error: 1 of 3 fields failed (A/01/0); the others are done"
    (plate / "A/01/0/0/zarr.json").write_text(metadata)
    file = plate.parent / "cells.csv"
    done = bigunet("segment", plate, *words, "--resume", "--table", file)
    assert done.code == 0, done.err
    same(table_of(plate), expected_of(plate, *ALL))
    assert done.messages[-3:] == [
        f"objects: {len(table_of(plate)):,} in 3 fields",
        f"table: {plate / 'tables/instances/table.parquet'}",
        f"table: {file}",
    ]
    assert len(pandas.read_csv(file)) == len(table_of(plate))


def test_a_field_that_fails_now_is_left_out_though_it_was_done_before(
    plate: Path, client: Client
) -> None:
    segment(plate, client)
    zarr.open_array(plate / "A/01/1/0")[0, :9, :9] = 2
    results = segment(plate, client, existing="resume")
    assert [name for name, r in results.items() if isinstance(r, BigUNetError)] == ["A/01/1"]
    same(table_of(plate), expected_of(plate, "B/02/0", "A/01/0"))


def test_fields_of_other_runs_count_if_they_were_made_alike(plate: Path, client: Client) -> None:
    segment(plate, client, wells=["A01"], table=plate.parent / "a.parquet")
    same(table_of(plate), expected_of(plate, *ALL[1:]))
    segment(plate, client, wells=["B02"], table=plate.parent / "b.parquet")
    same(table_of(plate), expected_of(plate, *ALL))
    same(pandas.read_parquet(plate.parent / "b.parquet"), expected_of(plate, "B/02/0"))
    notices: list[str] = []

    def listen(event: Any) -> None:
        notices.extend([event.text] if isinstance(event, Notice) else [])

    other = {"existing": "overwrite", "smallest": "3", "on_event": listen}
    segment(plate, client, wells=["B02"], **other)
    same(table_of(plate), expected_of(plate, "B/02/0"))
    assert "has no rows of A/01/0, A/01/1: these were made with another model" in notices[-1]


def test_overwriting_removes_the_table_first_and_keeps_those_of_others(
    plate: Path, client: Client
) -> None:
    zarr.open_group(plate / "tables/theirs", mode="w")
    zarr.open_group(plate / "tables", mode="a").attrs["tables"] = ["theirs"]
    segment(plate, client)
    outcomes = package.segment_fields(
        plate, model=MODEL, client=client, existing="overwrite", **OBJECTS
    )
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert zarr.open_group(plate / "tables", mode="r").attrs["tables"] == ["theirs"]
    assert not (plate / "tables/instances").exists()
    segment(plate, client, existing="overwrite", outputs=("classes",), object_class="",
            border_class="")  # fmt: skip
    assert not (plate / "tables/instances").exists()
    assert (plate / "tables/theirs/zarr.json").exists()


def test_a_table_of_others_is_refused_before_the_first_block(plate: Path, client: Client) -> None:
    zarr.open_group(plate / "tables/instances", mode="w").attrs["type"] = "condition_table"
    for existing in ("refuse", "resume", "overwrite"):
        with pytest.raises(OutputError, match="was not made by bigunet.*--no-table"):  # noqa: RUF043
            segment(plate, client, existing=existing)
    assert not (plate / "A/01/0/labels").exists()
    segment(plate, client, no_table=True, fields=["1"])
    attributes = zarr.open_group(plate / "tables/instances", mode="r").attrs
    assert attributes["type"] == "condition_table"
    with pytest.raises(OptionError, match="contradict"):
        segment(plate, client, no_table=True, table="cells.csv")


def test_one_well_names_its_plate_and_gets_no_table_inside(plate: Path, client: Client) -> None:
    segment(plate / "A/01", client, table=plate.parent / "well.parquet")
    same(pandas.read_parquet(plate.parent / "well.parquet"), expected_of(plate, *ALL[1:]))
    assert not (plate / "A/01/tables").exists()


def test_several_images_have_one_table_with_their_names(
    bigunet: Any, plate: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    done = bigunet(
        "segment", plate / "A/01/1", plate / "A/01/0", "--into", tmp_path / "out", "--model",
        tiny_model, "--scheduler", client.scheduler.address, "--object-class", "1", "--channel",
        "0", "--grey-range", "0:2", "--table", tmp_path / "out/cells.parquet",
    )  # fmt: skip
    assert done.code == 0, done.err
    table = pandas.read_parquet(tmp_path / "out/cells.parquet")
    assert list(table["image"].unique()) == ["1", "0"]
    assert done.messages[-2:] == [
        f"objects: {len(table):,} in 2 images", f"table: {tmp_path / 'out/cells.parquet'}"
    ]  # fmt: skip
    own = pandas.read_parquet(tmp_path / "out/1.zarr/tables/instances/table.parquet")
    pandas.testing.assert_frame_equal(
        table[table["image"] == "1"][list(own.columns)], own, check_dtype=False
    )


def test_the_plate_says_what_the_table_is_of(plate: Path, client: Client) -> None:
    segment(plate, client)
    listed = json.loads((plate / "tables/zarr.json").read_text())["attributes"]
    assert listed == {"tables": ["instances"]}
    assert package.info(plate)["kind"] == "plate"
