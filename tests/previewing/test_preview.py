"""Laws of the preview: what it shows and keeps is what segment writes, to the byte."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

import bigunet
from bigunet import SegmentOptions
from bigunet.errors import BusyError, ImageError, OptionError, OutputError, ResumeError
from bigunet.geometry import Box
from bigunet.previewing.preview import preview

_SHAPE = (540, 60)
_BLOCK = (64, 32)
_OPTIONS = SegmentOptions(outputs=("classes", "probabilities"), block_shape=_BLOCK, no_report=True)
_PLACES = st.tuples(st.integers(0, _SHAPE[0] - 1), st.integers(0, _SHAPE[1] - 1))
_RECORD = {"ledger.jsonl", "report.json", "run.toml"}


def contents(store: Path) -> dict[str, bytes]:
    """Every file of an output, without the record of the run."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.name not in _RECORD
    }


def blocks_recorded(store: Path) -> Counter[int]:
    lines = (store / "bigunet" / "ledger.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return Counter(one["block"] for one in records if one.get("stage") == "segment")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preview") / "in.zarr"
    pixels = np.random.default_rng(0).integers(0, 256, _SHAPE).astype(np.uint8)
    array = zarr.create_array(str(path), shape=_SHAPE, chunks=(64, 64), dtype="uint8")
    array[:] = pixels
    return path


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def arguments(tiny_model: Path, client: Client) -> dict[str, Any]:
    return {"model": tiny_model, "options": _OPTIONS, "client": client}


@pytest.fixture(scope="module")
def whole(image: Path, arguments: dict[str, Any]) -> Path:
    """What segment writes without a preview."""
    target = image.with_name("whole.zarr")
    bigunet.segment(image, target, **arguments)
    return target


@settings(max_examples=3, deadline=None)
@given(st.lists(st.lists(_PLACES, max_size=4), min_size=1, max_size=3))
def test_a_run_goes_on_from_previews_to_the_same_bytes_and_computes_no_block_twice(
    image: Path, whole: Path, arguments: dict[str, Any], seen: list[list[tuple[int, int]]]
) -> None:
    target = image.with_name("seen.zarr")
    shutil.rmtree(target, ignore_errors=True)
    expected = zarr.open_array(whole / "labels/classes/0")[:]
    for places in seen:
        with preview(image, target, existing="resume", **arguments) as opened:
            for y, x in places:
                assert opened.array[y, x] == expected[y, x]
                window = (slice(max(0, y - 20), y + 20), slice(x, x + 9))
                np.testing.assert_array_equal(opened.array[window], expected[window])
            assert sum(blocks_recorded(target).values()) == opened.num_done
    report = bigunet.segment(image, target, existing="resume", **arguments)
    assert contents(target) == contents(whole)
    assert set(blocks_recorded(target).values()) == {1}
    before = {(y // _BLOCK[0], x // _BLOCK[1]) for places in seen for y, x in places}
    assert report.blocks_done <= report.plan.grid.num_blocks - len(before)


def test_all_levels_and_outputs_are_those_of_segment_once_all_is_computed(
    image: Path, whole: Path, arguments: dict[str, Any], tmp_path: Path
) -> None:
    with preview(image, tmp_path / "out.zarr", **arguments) as opened:
        np.asarray(opened.array)
        assert opened.num_done == opened.num_blocks == 18
        assert opened.probabilities is not None
        shares = zarr.open_array(whole / "probabilities/0")[:]
        np.testing.assert_array_equal(np.asarray(opened.probabilities), shares)
        for output in opened._session.outputs.values():
            for number, level in enumerate(output.output.layout.levels):
                stored = zarr.open_array(whole / output.output.level_path(number))[:]
                np.testing.assert_array_equal(
                    output.read(number, Box.of_shape(level.shape)), stored
                )


def test_what_is_not_computed_is_zero_and_a_coarse_level_shows_the_rest(
    image: Path, whole: Path, arguments: dict[str, Any], tmp_path: Path
) -> None:
    with preview(image, tmp_path / "out.zarr", **arguments) as opened:
        output = opened._session.outputs["classes"]
        levels = output.output.layout.levels
        assert len(levels) == 2
        assert not output.read(0, Box.of_shape(_SHAPE)).any()
        opened.array[64:128, 32:60]
        shown = np.zeros(_SHAPE, np.uint8)
        shown[64:128, 32:60] = zarr.open_array(whole / "labels/classes/0")[64:128, 32:60]
        np.testing.assert_array_equal(output.read(0, Box.of_shape(_SHAPE)), shown)
        for number, level in list(enumerate(levels))[1:]:
            factor = level.factor[0]
            inside = (slice(64 // factor, 128 // factor), slice(32 // factor, 60 // factor))
            values = output.read(number, Box.of_shape(level.shape))
            stored = zarr.open_array(whole / f"labels/classes/{number}")[:]
            np.testing.assert_array_equal(values[inside], stored[inside])
            values[inside] = 0
            assert not values.any()


def test_only_one_command_at_a_time_has_the_output_and_the_options_stay(
    image: Path, arguments: dict[str, Any], tmp_path: Path
) -> None:
    target = tmp_path / "out.zarr"
    with preview(image, target, **arguments) as opened:
        opened.array[0, 0]
        for other in (preview, bigunet.segment):
            with pytest.raises(BusyError, match="is being written by another bigunet"):
                other(image, target, existing="resume", **arguments)
        with pytest.raises(OutputError, match="give --resume to continue it"):
            preview(image, target, **arguments)
    with pytest.raises(ResumeError, match=r"grey_range was .* is "):
        bigunet.segment(
            image, target, existing="resume", **arguments | {"options": SegmentOptions(
                outputs=_OPTIONS.outputs, block_shape=_BLOCK, grey_range=((0, 9),)
            )}
        )  # fmt: skip


def test_the_command_that_goes_on_names_all_options(
    image: Path, arguments: dict[str, Any], tmp_path: Path
) -> None:
    target = tmp_path / "out.zarr"
    with preview(image, target, **arguments) as opened:
        words = opened.command.split()
        assert words[:4] == ["bigunet", "segment", str(image), str(target)]
        assert words[-1] == "--resume"
        assert "--block-shape=64,32" in words


def test_a_preview_without_an_output_leaves_nothing(image: Path, arguments: dict[str, Any]) -> None:
    heard: list[Any] = []
    with preview(image, **arguments, on_event=heard.append) as opened:
        opened.array[0:40, 0:40]
        folder = opened.folder
        assert folder.is_dir()
        assert opened.command == ""
    assert not folder.parent.exists()
    assert str(folder.parent) in heard[0].text
    assert [event.num_done for event in heard[2:]] == [1, 2]
    with pytest.raises(OptionError, match="without an OUT: give one"):
        preview(image, existing="resume", **arguments)


def test_several_threads_may_read_at_once(
    image: Path, whole: Path, arguments: dict[str, Any], tmp_path: Path
) -> None:
    expected = zarr.open_array(whole / "labels/classes/0")[:]
    wrong: list[int] = []
    with preview(image, tmp_path / "out.zarr", **arguments) as opened:

        def read(number: int) -> None:
            rows = slice(40 * number, 40 * number + 90)
            if not np.array_equal(opened.array[rows], expected[rows]):
                wrong.append(number)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not wrong
    assert set(blocks_recorded(tmp_path / "out.zarr").values()) == {1}


def test_a_plate_is_refused(tmp_path: Path) -> None:
    plate = {"version": "0.5", "plate": {"columns": [], "rows": [], "wells": []}}
    zarr.open_group(tmp_path / "plate.zarr", mode="w").attrs["ome"] = plate
    with pytest.raises((OptionError, ImageError), match="one field"):
        preview(tmp_path / "plate.zarr")
