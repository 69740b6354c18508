"""Laws of many images in one command: which images, what is refused, and what can go on."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st
from support.stored import contents

import bigunet as package
from bigunet import SegmentOptions
from bigunet.errors import ImageError, OptionError, OutputError, StoppedError
from bigunet.events import BlockDone
from bigunet.machine.names import name_as_seen
from bigunet.segmentation import many_images, model_choice, series
from bigunet.segmentation.image_list import list_images, stem_of

# The order in which people count.
LISTED = ["b.zarr", "img2.ome.zarr", "img10.zarr"]
STEMS = ["b", "img2", "img10"]
SMALL = SegmentOptions(block_shape=(16, 16))


@pytest.fixture
def images(tmp_path: Path, write_image: Any) -> Path:
    """A folder with three images and other files."""
    folder = tmp_path / "images"
    for number, name in enumerate(LISTED):
        write_image(folder / name, shape=(40, 50 + number))
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.zarr").mkdir()
    return folder


@pytest.fixture
def workers(tiny_model: Path, client: Client) -> tuple[object, ...]:
    return ("--model", tiny_model, "--scheduler", client.scheduler.address, "--quiet", "--json")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image at a time, as if it kept all workers busy."""
    monkeypatch.setattr(series, "blocks_enough", lambda client: 1)


def labels(output: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(output, mode="r")["labels/classes/0"])


def assert_refused(outcome: Any, *words: str) -> None:
    assert (outcome.code, len(outcome.messages)) == (1, 1), outcome.err
    for word in words:
        assert word in outcome.messages[0]


def test_folders_patterns_and_paths_stand_for_images_in_natural_order_each_once(
    images: Path, tmp_path: Path
) -> None:
    listed = [str(images / name) for name in LISTED]
    for forms in ([images], [images / "*.zarr"], listed, [images, *listed, images / "*.zarr"]):
        assert list_images(forms, outputs=tmp_path) == (tuple(listed), ())


def test_each_image_gets_the_labels_that_it_gets_alone(
    bigunet: Any, images: Path, tmp_path: Path, workers: Any, tiny_model: Path, client: Client
) -> None:
    page = tmp_path / "report.html"
    given = ["--into", tmp_path / "out", *workers, "--performance-report", page]
    done = bigunet("segment", images, *given)
    assert done.code == 0, done.err
    assert list(done.json["images"]) == [str(images / name) for name in LISTED]
    # One report for all images, with a task for each.
    assert "number of tasks: 3 " in page.read_text()
    for stem, (path, report) in zip(STEMS, done.json["images"].items()):
        assert report["output"] == str(tmp_path / "out" / f"{stem}.zarr")
        package.segment(path, tmp_path / f"{stem}.zarr", model=tiny_model, client=client)
        np.testing.assert_array_equal(labels(report["output"]), labels(tmp_path / f"{stem}.zarr"))
    # The folder holds outputs and nothing else.
    assert sorted(os.listdir(tmp_path / "out")) == sorted(f"{stem}.zarr" for stem in STEMS)


def test_workers_are_started_once_and_the_model_is_loaded_once(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def load(path: Path, **given: Any) -> package.Model:
        begun.append("model")
        return package.load_model(path, **given)

    def start(*_: object) -> Any:
        begun.append("workers")
        return contextlib.nullcontext(client)

    monkeypatch.setattr(model_choice, "load_model", load)
    monkeypatch.setattr(series, "open_workers", start)
    assert len(dict(package.segment_images(images, tmp_path / "out", model=tiny_model))) == 3
    assert begun == ["model", "workers"]


def test_an_image_that_fails_is_said_in_one_line_and_the_others_go_on(
    bigunet: Any, images: Path, tmp_path: Path, workers: Any, write_image: Any
) -> None:
    # The model reads one channel.
    write_image(images / "img2.ome.zarr", "cyx", shape=(2, 40, 51))
    command = ["segment", images, "--into", tmp_path / "out", *workers]
    done = bigunet(*command)
    bad = str(images / "img2.ome.zarr")
    assert done.code == 1
    assert [set(result) == {"error"} for result in done.json["images"].values()] == [
        False, True, False,
    ]  # fmt: skip
    assert len([line for line in done.messages if line.startswith(f"Error: image {bad}: ")]) == 1
    assert done.messages[-1] == f"Error: 1 of 3 images failed ({bad}); the others are done"
    again = bigunet(*command, "--resume")
    assert again.code == 1
    assert [report.get("blocks_done") for report in again.json["images"].values()] == [0, None, 0]


@pytest.mark.usefixtures("alone")
def test_a_series_goes_on_with_what_is_unfinished_and_what_is_missing(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    stop = threading.Event()

    def after_one_block_of_the_second(event: object) -> None:
        if isinstance(event, BlockDone) and len(os.listdir(tmp_path / "out")) == 2:
            stop.set()

    given = {"model": tiny_model, "client": client, "options": SMALL}
    outcomes = package.segment_images(
        [images], tmp_path / "out", **given, stop=stop, on_event=after_one_block_of_the_second
    )
    assert next(outcomes)[0] == str(images / "b.zarr")
    with pytest.raises(StoppedError, match=r"image .*img2.ome.zarr: stopped as asked"):
        next(outcomes)
    again = dict(
        package.segment_images([images], tmp_path / "out", **given, existing="resume")
    ).values()
    totals = [report.plan.grid.num_blocks for report in again]
    done = [report.blocks_done for report in again]
    assert done[0] == 0
    assert 0 < done[1] < totals[1]
    assert done[2] == totals[2]


@pytest.mark.usefixtures("alone")
def test_overwriting_that_is_stopped_leaves_nothing_of_the_earlier_run_to_resume(
    images: Path, tmp_path: Path, tiny_model: Path, write_model: Any, client: Client
) -> None:
    given: dict[str, Any] = {"client": client}
    out = tmp_path / "out"
    assert len(dict(package.segment_images(images, out, model=tiny_model, **given))) == 3
    other = write_model(tmp_path / "other.safetensors", width=5)
    stop = threading.Event()
    begun = package.segment_images(
        images, out, model=other, **given, existing="overwrite", stop=stop
    )
    next(begun)
    stop.set()
    with pytest.raises(StoppedError, match="1 of 3 images are done"):
        next(begun)
    again = dict(package.segment_images(images, out, model=other, **given, existing="resume"))
    assert [report.blocks_done > 0 for report in again.values()] == [False, True, True]
    for stem, path in zip(STEMS, again):
        package.segment(path, tmp_path / f"{stem}.zarr", model=other, **given)
        np.testing.assert_array_equal(
            labels(out / f"{stem}.zarr"), labels(tmp_path / f"{stem}.zarr")
        )


def test_overwriting_with_options_that_do_not_fit_leaves_the_outputs_as_they_are(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    given: dict[str, Any] = {"model": tiny_model, "client": client, "existing": "overwrite"}
    dict(package.segment_images(images, tmp_path / "out", **given))
    before = contents(tmp_path / "out")
    unfit = SegmentOptions(channels=(7,))
    again = package.segment_images(images, tmp_path / "out", **given, options=unfit)
    assert all(isinstance(outcome, OptionError | ImageError) for _, outcome in again)
    assert contents(tmp_path / "out") == before


@pytest.mark.usefixtures("alone")
def test_interrupted_it_says_how_to_go_on(
    bigunet: Any, images: Path, tmp_path: Path, workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = series.segment

    def interrupted(source: str, *rest: Any, **more: Any) -> Any:
        if source.endswith("img2.ome.zarr"):
            raise KeyboardInterrupt
        return segment(source, *rest, **more)

    command = ["segment", images, "--into", tmp_path / "out", *workers]
    with monkeypatch.context() as patched:
        patched.setattr(series, "segment", interrupted)
        done = bigunet(*command)
    assert (done.code, done.messages[-1]) == (
        130, "Interrupted; go on with the same command and --resume.",
    )  # fmt: skip
    again = bigunet(*command, "--resume")
    assert [report["blocks_done"] for report in again.json["images"].values()] == [0, 1, 1]


def test_outputs_among_the_images_are_no_inputs_when_the_command_runs_again(
    bigunet: Any, images: Path, tmp_path: Path, workers: Any
) -> None:
    pattern = ["segment", images / "img2*", "--into", images / "results", *workers]
    assert bigunet(*pattern).code == 0
    # The paths that a shell makes of images/*; the notes are left out, the outputs are not.
    everything = [*(images / name for name in LISTED), images / "results"]
    again = bigunet("segment", *everything, "--into", images / "results", *workers, "--resume")
    assert again.code == 0, again.err
    assert [report["blocks_done"] for report in again.json["images"].values()] == [1, 0, 1]
    beside = bigunet("segment", images / "img2.ome.zarr", "--into", images, *workers)
    assert beside.code == 0, beside.err
    done = bigunet("segment", images, "--into", tmp_path / "more", *workers)
    assert "left out 1 outputs of bigunet, the first" in done.err
    assert list(done.json["images"]) == [str(images / name) for name in LISTED]


def test_images_with_names_that_the_system_takes_for_the_same_are_refused(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [f"{images}/Slide 1.zarr", f"{images}/slide 1.zarr"]
    assert [Path(m.target).name for m in many_images._named(named, "out")] == [
        "Slide 1.zarr",
        "slide 1.zarr",
    ]
    macos = functools.partial(name_as_seen, system="darwin")
    monkeypatch.setattr(many_images, "name_as_seen", macos)
    with pytest.raises(OptionError, match=r"both become slide 1\.zarr; rename one of them"):
        many_images._named(named, "out")


def test_all_is_checked_before_the_first_block(
    bigunet: Any, images: Path, tmp_path: Path, workers: Any, write_image: Any
) -> None:
    out = tmp_path / "out"
    good = images / "b.zarr"

    def refused(*given: object, words: tuple[str, ...], into: Path = out) -> None:
        assert_refused(bigunet("segment", good, *given, "--into", into, *workers), *words)
        assert not out.exists()

    write_image(tmp_path / "other" / "b.ome.zarr")
    twin = tmp_path / "other" / "b.ome.zarr"
    refused(twin, words=(str(good), str(twin), "would both become b.zarr"))
    refused(tmp_path / "none.zarr", words=("none.zarr does not exist",))
    refused(images / "x*.zarr", words=("no path matches", "x*.zarr"))
    refused(images / "notes.txt", words=("notes.txt",))
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", words=("empty holds no image", "*.zarr.zip"))
    (images / "img10.zarr" / "0" / ".zarray").unlink()
    refused(images, words=("img10.zarr", "missing"))
    refused(words=("notes.txt is not a folder",), into=images / "notes.txt")
    refused(words=("is a zarr itself",), into=images / "img2.ome.zarr")
    refused(words=("overlap",), into=images)
    refused("--part", "1/2", words=("--into", "have no parts"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "b.zarr").write_text("somebody's")
    refused(words=("b.zarr exists", "--resume"), into=tmp_path / "taken")
    refused("--overwrite", words=("not an output of bigunet",), into=tmp_path / "taken")


def test_a_plate_among_images_is_refused(
    bigunet: Any, images: Path, tmp_path: Path, workers: Any
) -> None:
    plate = zarr.open_group(images / "plate.zarr", mode="w", zarr_format=2)
    plate.attrs["plate"] = {"version": "0.4", "wells": [], "rows": [], "columns": []}
    done = bigunet("segment", images, "--into", tmp_path / "out", *workers)
    assert_refused(done, "plate.zarr is a plate", "segment it alone")


def test_without_into_there_is_one_image(bigunet: Any, images: Path, tmp_path: Path) -> None:
    three = [images / name for name in LISTED]
    too_many = bigunet("segment", *three)
    assert too_many.code == 2
    assert "3 paths are too many for IN and OUT; give --into FOLDER" in too_many.messages[-1]
    assert_refused(bigunet("segment", images), "holds images", "--into FOLDER")
    assert_refused(
        bigunet("segment", images / "*.zarr", tmp_path / "o.zarr"), "several", "--into FOLDER"
    )
    assert bigunet("segment").code == 2


def test_brackets_in_the_name_of_an_image_are_no_pattern(
    tmp_path: Path, tiny_model: Path, client: Client, write_image: Any
) -> None:
    write_image(tmp_path / "a[1].zarr")
    results = package.segment_images(
        tmp_path / "a[1].zarr", tmp_path / "out", model=tiny_model, client=client
    )
    assert [report.finished for _, report in results] == [True]
    assert (tmp_path / "out" / "a[1].zarr").is_dir()


def test_an_image_inside_of_what_another_one_overwrites_is_refused(
    tmp_path: Path, tiny_model: Path, client: Client, write_image: Any
) -> None:
    write_image(tmp_path / "a.zarr")
    given: dict[str, Any] = {"model": tiny_model, "client": client, "existing": "overwrite"}
    options = SegmentOptions(outputs=("probabilities",))
    package.segment(tmp_path / "a.zarr", tmp_path / "out" / "a.zarr", options=options, **given)
    inside = tmp_path / "out" / "a.zarr" / "probabilities"
    with pytest.raises(OptionError, match=r"lies in .*a\.zarr, where the output of"):
        next(package.segment_images([tmp_path / "a.zarr", inside], tmp_path / "out", **given))
    with pytest.raises(OptionError, match="object stores can only be read"):
        next(package.segment_images([tmp_path / "a.zarr"], "s3://bucket/out", **given))
    with pytest.raises(OutputError, match="is a zarr itself"):
        next(package.segment_images([inside], tmp_path / "a.zarr", **given))


@given(
    stem=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
    suffix=st.sampled_from([".zarr", ".ome.zarr", ".zarr.zip", ".ozx", ".OME.ZARR", ".zip", ""]),
    folder=st.sampled_from(["", "a/b.zarr/", "/x/", "https://host/a.zarr/", "s3://bucket/"]),
)
def test_the_name_of_an_output_is_that_of_the_image_without_its_suffix(
    stem: str, suffix: str, folder: str
) -> None:
    assert stem_of(f"{folder}{stem}{suffix}") == stem
    assert stem_of(f"{folder}{stem}{suffix}/") == stem
