"""Laws of a plate without OUT: each stored field gets labels, also after another field failed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client

import bigunet as package
from bigunet import SegmentOptions
from bigunet.errors import OptionError, StoppedError
from bigunet.events import StageBegun
from bigunet.segmentation import series
from bigunet.segmentation.plate_fields import segment_fields


@pytest.fixture
def plate(tmp_path: Path, write_image: Any) -> Path:
    """Two wells with one and two fields; a third field and well are listed, but not stored."""
    path = tmp_path / "plate.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=2)
    wells = {"A/1": ["0", "1"], "B/1": ["0", "1"], "C/1": ["0"]}
    root.attrs["plate"] = {
        "version": "0.4",
        "rows": [{"name": name} for name in "ABC"],
        "columns": [{"name": "1"}],
        "wells": [{"path": p, "rowIndex": k, "columnIndex": 0} for k, p in enumerate(wells)],
    }
    for well in ("A/1", "B/1"):
        images = [{"path": field} for field in wells[well]]
        root.require_group(well).attrs["well"] = {"images": images}
    for number, field in enumerate(["A/1/0", "A/1/1", "B/1/0"]):
        write_image(path / field, shape=(50, 40 + number))
    return path


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One field at a time, as if it kept all workers busy."""
    monkeypatch.setattr(series, "blocks_enough", lambda client: 1)


def spoil(plate: Path, field: str) -> None:
    """A field with metadata that name a missing array."""
    (plate / field / "0" / ".zarray").unlink()


def test_every_stored_field_gets_the_labels_that_it_gets_alone(
    bigunet: Any, plate: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    workers = ("--model", tiny_model, "--scheduler", client.scheduler.address, "--quiet")
    page = tmp_path / "report.html"
    done = bigunet("segment", plate, *workers, "--performance-report", page, "--json")
    assert done.code == 0
    # One report for all fields, with a task for each.
    assert "number of tasks: 3 " in page.read_text()
    assert list(done.json["fields"]) == ["A/1/0", "A/1/1", "B/1/0"]
    # One line names what is listed and not stored.
    assert done.json["missing"] == ["C/1", "B/1/1"]
    line = f"{plate} lists 1 well and 1 field that are not stored: C/1, B/1/1"
    assert done.messages == [f"Warning: {line}"]
    described = bigunet("info", plate, "--json")
    assert described.messages == done.messages
    assert described.json["missing"] == ["C/1", "B/1/1"]
    assert described.json["fields"] == list(done.json["fields"])
    for field, report in done.json["fields"].items():
        assert report["output"] == str(plate / field / "labels/classes")
        alone = tmp_path / field.replace("/", "") / "out.zarr"
        package.segment(plate / field, alone, model=tiny_model, client=client)
        np.testing.assert_array_equal(
            np.asarray(zarr.open_group(plate / field, mode="r")["labels/classes/0"]),
            np.asarray(zarr.open_group(alone, mode="r")["labels/classes/0"]),
        )


def test_a_failed_field_gives_one_line_and_the_others_go_on(
    bigunet: Any, plate: Path, tiny_model: Path, client: Client
) -> None:
    spoil(plate, "A/1/1")
    workers = ("--model", tiny_model, "--scheduler", client.scheduler.address, "--quiet")
    done = bigunet("segment", plate, *workers, "--json")
    assert done.code == 1
    assert set(done.json["fields"]["A/1/1"]) == {"error"}
    assert done.json["fields"]["B/1/0"]["blocks_done"] == 1
    assert next(line for line in done.messages if "A/1/1" in line).startswith(
        "Error: field A/1/1: "
    )
    assert done.messages[-1] == "Error: 1 of 3 fields failed (A/1/1); the others are done"
    again = bigunet("segment", plate, *workers, "--resume", "--json")
    assert again.json["fields"]["A/1/0"]["blocks_done"] == 0


@pytest.mark.usefixtures("alone")
def test_a_stopped_plate_goes_on_later_with_the_fields_that_are_left(
    plate: Path, tiny_model: Path, client: Client
) -> None:
    stop = threading.Event()
    outcomes = segment_fields(plate, model=tiny_model, client=client, stop=stop)
    assert next(outcomes)[0] == "A/1/0"
    stop.set()
    with pytest.raises(StoppedError, match="1 of 3 fields are done"):
        next(outcomes)
    again = dict(segment_fields(plate, model=tiny_model, client=client, existing="resume"))
    assert [report.blocks_done for report in again.values()] == [0, 1, 1]


@pytest.mark.usefixtures("alone")
def test_a_field_that_is_stopped_in_its_midst_is_no_failure(
    plate: Path, tiny_model: Path, client: Client
) -> None:
    stop = threading.Event()

    def when_it_begins(event: object) -> None:
        if isinstance(event, StageBegun):
            stop.set()

    outcomes = segment_fields(
        plate, model=tiny_model, client=client, stop=stop, on_event=when_it_begins,
        options=SegmentOptions(block_shape=(16, 16)),
    )  # fmt: skip
    with pytest.raises(StoppedError, match=r"field .*A/1/0: stopped as asked: 0 of \d+ blocks"):
        next(outcomes)


def test_a_plate_with_an_out_is_refused_in_one_line(
    bigunet: Any, plate: Path, tmp_path: Path, tiny_model: Path
) -> None:
    done = bigunet("segment", plate, tmp_path / "out.zarr", "--model", tiny_model)
    assert done.code == 1
    assert len(done.messages) == 1
    assert "give one of its fields" in done.messages[0]
    assert "give no OUT" in done.messages[0]
    assert not (tmp_path / "out.zarr").exists()


def test_options_that_fit_no_field_are_refused_before_the_first(
    plate: Path, tiny_model: Path, client: Client
) -> None:
    options = package.SegmentOptions(level=1)
    with pytest.raises(OptionError, match=r"level 1: .*give an OUT"):
        next(package.segment_fields(plate, model=tiny_model, options=options, client=client))
    with pytest.raises(OptionError, match=r"is a plate, .*segment_fields"):
        package.segment(plate, model=tiny_model, client=client)
