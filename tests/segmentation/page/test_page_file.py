"""Laws of the page's file: where it lies, when it is written, and that it fails no run."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from support.page_parser import ParsedPage

import bigunet as package
from bigunet.segmentation.page import page as page_module
from bigunet.segmentation.page.block_times import BlockTimes, records_of


def segment(client: Client, image: Path, target: Path | None, model: Path, **more: Any) -> Any:
    usual: dict[str, Any] = {"block_shape": (32, 48), "backend": "torch"}
    return package.segment(image, target, model=model, client=client, **usual | more)


def page_of(report: Any) -> ParsedPage:
    return ParsedPage.of(Path(report.page))


def test_a_resumed_run_keeps_the_page_or_writes_a_lost_one(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    places = (client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model)
    first = segment(*places)
    page = Path(first.page)
    written = page.read_bytes()
    assert segment(*places, existing="resume").page == first.page
    assert page.read_bytes() == written
    page.unlink()
    again = segment(*places, existing="resume")
    assert again.already_finished
    assert "An earlier run computed it." in page_of(again).text("p")


def test_a_run_that_goes_on_shows_the_blocks_of_both_runs(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    places = (client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model)
    report = segment(*places)
    ledger = tmp_path / "out.zarr/bigunet/ledger.jsonl"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:3]))
    again = segment(*places, existing="resume")
    blocks = again.plan.grid.num_blocks
    assert 0 < again.blocks_done < blocks == report.blocks_done
    lead = page_of(again).text("p")
    assert f"The last run computed {again.blocks_done} of the blocks" in lead


def test_the_part_that_ends_last_writes_a_page_about_the_blocks_of_all_parts(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    places = (client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model)
    first, last = (segment(*places, part=part) for part in ("1/2", "2/2"))
    assert first.page == ""
    assert Path(last.page).is_file()
    times = BlockTimes.of(records_of(tmp_path / "out.zarr"))
    assert sorted(times.segmented) == list(range(last.plan.grid.num_blocks))
    assert all(seconds > 0 for seconds in times.segmented.values())


def test_an_image_with_labels_inside_has_the_page_in_its_record(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    report = segment(client, tmp_path / "in.zarr", None, tiny_model)
    assert report.page == str(tmp_path / "in.zarr/labels/classes/bigunet/report.html")
    assert shlex.split(page_of(report).text("code"))[2:4] == [
        str(tmp_path / "in.zarr"), f"--model={tiny_model}",
    ]  # fmt: skip


def test_overwriting_removes_the_page_of_the_earlier_run(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    places = (client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model)
    page = Path(segment(*places).page)
    page.with_name(f".report.html.{'0' * 32}.partial").touch()
    report = segment(*places, existing="overwrite", no_report=True)
    assert report.page == ""
    assert not list(page.parent.glob("*report.html*"))


def test_what_goes_wrong_with_the_page_is_one_warning_and_the_run_ends_well(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def fail(*_: Any) -> str:
        raise MemoryError("no\nmemory s3://key:secret@host/x")

    write_image(tmp_path / "in.zarr")
    places = (client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model)
    monkeypatch.setattr(page_module, "page_text", fail)
    with caplog.at_level(logging.WARNING, "bigunet"):
        report = segment(*places)
    (warning,) = caplog.messages
    assert warning == (
        "the output is finished, but not the page of its report: no memory s3://host/x"
    )
    assert report.page == ""
    assert report.finished
    assert not list((tmp_path / "out.zarr/bigunet").glob("*report.html*"))
    events: list[Any] = []
    segment(*places, existing="overwrite", on_event=lambda event: events.append(event))
    assert [e.text for e in events if hasattr(e, "text")] == [f"Warning: {warning}"]


def test_runs_with_and_without_a_page_continue_each_other(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr")
    places = (client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model)
    segment(*places, no_report=True)
    report = segment(*places, existing="resume")
    assert report.already_finished
    assert Path(report.page).is_file()
