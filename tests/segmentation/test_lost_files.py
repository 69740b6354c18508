"""Laws of resuming after files were lost or changed: the bytes of a whole run, or an error."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.stored import contents

import bigunet
from bigunet import SegmentOptions
from bigunet.errors import BigUNetError, OutputError, ResumeError
from bigunet.events import BlockDone, Notice
from bigunet.io.output.publish import is_complete
from bigunet.segmentation.plan import worker_choice
from bigunet.segmentation.run.part import Part

# Two stages write levels 0 and 1. The first row of blocks has no stored voxels, and so no files.
SHAPE, BLOCK = (600, 520), 256
OPTIONS = SegmentOptions(
    block_shape=(BLOCK, BLOCK),
    outputs=("classes", "probabilities"),
    skip_empty=True,
    precision="fp32",
    backend="torch",
)
FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Segment = Callable[..., bigunet.SegmentReport]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lost") / "in.zarr"
    array = zarr.create_array(str(path), shape=SHAPE, chunks=(BLOCK, BLOCK), dtype="uint8")
    array[BLOCK:] = np.random.default_rng(0).integers(1, 256, (SHAPE[0] - BLOCK, SHAPE[1]))
    return path


@pytest.fixture(scope="module")
def segment(image: Path, tiny_model: Path, client) -> Segment:
    def run(output: Path, *, source: Path = image, **arguments: Any) -> bigunet.SegmentReport:
        chosen = {"options": OPTIONS, "model": tiny_model, "client": client} | arguments
        return bigunet.segment(source, output, **chosen)

    return run


@pytest.fixture(scope="module")
def whole(image: Path, segment: Segment) -> Path:
    output = image.parent / "whole.zarr"
    segment(output)
    return output


@pytest.fixture
def output(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out.zarr"))


def again(whole: Path, output: Path, *, num_lines: int | None = None) -> list[Path]:
    """Copy an output and cut its ledger after some lines; the paths of all files and folders."""
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(whole, output)
    ledger = output / "bigunet" / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:num_lines]))
    return sorted(output.rglob("*"))


@pytest.mark.slow
@FEW
@given(data=st.data())
def test_whatever_is_deleted_a_resumed_run_ends_with_the_same_bytes_or_an_error(
    data: st.DataObject, whole: Path, segment: Segment, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    paths = again(whole, output, num_lines=data.draw(st.integers(1, 14)))
    ledger = output / "bigunet" / "ledger.jsonl"
    before = ledger.read_bytes()
    for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=4)):
        how = data.draw(st.sampled_from(["remove", "empty", "cut"]))
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists() and how == "remove":
            path.unlink()
        elif path.exists():
            os.truncate(path, 0 if how == "empty" else path.stat().st_size // 2)
    if not ledger.is_file() or ledger.read_bytes() != before:
        with contextlib.suppress(BigUNetError):
            segment(output, existing="resume")
            assert contents(output) == contents(whole)
        return
    report = segment(output, existing="resume")
    assert report.finished
    assert contents(output) == contents(whole)
    assert segment(output, existing="resume").already_finished


@pytest.mark.parametrize(
    ("lost", "blocks_done"),
    [
        ("labels", 6),
        ("labels/classes", 6),
        ("labels/classes/0", 6),
        ("labels/classes/0/c/1/1", 1),
        ("labels/classes/1/c/0/0", 0),
        ("probabilities/0/c/2/2/2", 1),
        ("probabilities/1", 0),
        ("probabilities/1/zarr.json", 0),
        ("zarr.json", 0),
    ],
)
def test_only_lost_blocks_of_a_finished_output_are_computed_again(
    output: Path, whole: Path, segment: Segment, lost: str, blocks_done: int
) -> None:
    path = output / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    report = segment(output, existing="resume")
    assert report.blocks_done == blocks_done
    assert not report.already_finished
    assert contents(output) == contents(whole)


def test_a_level_that_was_made_without_a_lost_block_is_made_again(
    output: Path, whole: Path, segment: Segment
) -> None:
    # As if level 1 had been made without the block: the file has the size that the ledger says.
    shard = output / "labels/classes/1/c/1/1"
    shard.write_bytes(bytes(shard.stat().st_size))
    (output / "labels/classes/0/c/2/2").unlink()
    segment(output, existing="resume")
    assert contents(output) == contents(whole)


@pytest.mark.parametrize("torch_has_cuda", [False, True])
def test_a_finished_output_needs_no_workers(
    output: Path, segment: Segment, monkeypatch: pytest.MonkeyPatch, torch_has_cuda: bool
) -> None:
    # With a torch for GPUs, the plan asks the workers how much memory their GPUs have.
    monkeypatch.setattr(worker_choice, "_torch_has_cuda", lambda: torch_has_cuda)
    monkeypatch.setattr(worker_choice, "_ANSWER_SECONDS", 0.1)
    before = contents(output) | {"report": (output / "bigunet/report.json").read_bytes()}
    report = segment(output, existing="resume", client=bigunet.ClusterSpec(scheduler="no:1"))
    assert report.already_finished
    assert report.finished
    assert sum(report.class_shares.values()) == pytest.approx(1)
    assert before == contents(output) | {"report": (output / "bigunet/report.json").read_bytes()}


@pytest.mark.parametrize("text", ["{", "[]", "", "null", "[" * 100_000])
def test_info_refuses_a_damaged_report_and_resume_writes_it_again(
    output: Path, segment: Segment, text: str
) -> None:
    path = output / "bigunet" / "report.json"
    path.write_text(text)
    with pytest.raises(OutputError, match=r"report\.json is damaged: remove it, or write it anew"):
        bigunet.info(output)
    segment(output, existing="resume")
    assert json.loads(path.read_text())["finished"]
    bigunet.info(output)


def removing(path: Path, notices: list[str], *, after: int) -> Callable[[object], None]:
    """A listener that removes a file or folder after some blocks, and collects notices."""
    num_seen = 0

    def listen(event: object) -> None:
        nonlocal num_seen
        num_seen += isinstance(event, BlockDone)
        notices.extend([event.text] if isinstance(event, Notice) else [])
        if isinstance(event, BlockDone) and num_seen == after:
            # Other blocks are written at the same time, so that the folder may not get empty.
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    return listen


@pytest.mark.parametrize("lost", ["labels", "probabilities/0/c/2", "zarr.json"])
def test_files_that_are_lost_in_mid_run_are_made_again_before_the_output_is_published(
    whole: Path, segment: Segment, tmp_path: Path, lost: str
) -> None:
    output, notices = tmp_path / "out.zarr", []
    segment(output, on_event=removing(output / lost, notices, after=8))
    assert contents(output) == contents(whole)
    assert any("files are missing" in line for line in notices) == (lost != "zarr.json")


def test_a_run_that_loses_files_again_and_again_ends_and_names_their_blocks(
    segment: Segment, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"

    def listen(event: object) -> None:
        # Files alone: a writer may make a folder at the moment in which it would be removed.
        for path in (output / "labels/classes/0/c/1").glob("[0-9]*"):
            path.unlink()

    with pytest.raises(OutputError, match=r"loses files while .*\(segment block [345]"):
        segment(output, on_event=listen)
    assert not is_complete(str(output))


def test_a_run_ends_in_one_line_if_its_output_is_renamed_and_can_go_on_later(
    whole: Path, segment: Segment, tmp_path: Path
) -> None:
    output, moved = tmp_path / "out.zarr", tmp_path / "moved.zarr"

    def listen(event: object) -> None:
        if isinstance(event, BlockDone) and not moved.exists():
            output.rename(moved)

    with pytest.raises(OutputError, match=r"out\.zarr was moved or removed while it was written"):
        segment(output, on_event=listen)
    shutil.rmtree(output, ignore_errors=True)
    moved.rename(output)
    segment(output, existing="resume")
    assert contents(output) == contents(whole)


def test_the_last_part_makes_lost_files_of_other_parts_again(
    whole: Path, segment: Segment, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    segment(output, part=Part(1, 2))
    shutil.rmtree(output / "labels")
    report = segment(output, part=Part(2, 2))
    assert report.finished
    assert contents(output) == contents(whole)


@pytest.fixture
def copied(image: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(image, tmp_path / "in.zarr"))


@pytest.mark.slow
@settings(FEW, max_examples=6)
@given(y=st.integers(BLOCK, SHAPE[0] - 1), x=st.integers(0, SHAPE[1] - 1), part=st.booleans())
def test_after_a_voxel_changed_resume_is_refused_and_the_message_names_its_file(
    y: int, x: int, part: bool, image: Path, segment: Segment, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.zarr", tmp_path / "out.zarr"
    for path in (source, output):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(image, source)
    segment(output, source=source, part=Part(1, 2))
    array = zarr.open_array(str(source))
    array[y, x] = array[y, x] ^ 1
    again = {"part": Part(2, 2)} if part else {"existing": "resume"}
    with pytest.raises(
        ResumeError, match=rf"c/{y // BLOCK}/{x // BLOCK} changed since .*overwrite"
    ):
        segment(output, source=source, **again)
    assert not is_complete(str(output))
    segment(output, source=source, existing="overwrite")


def test_an_image_that_changes_in_mid_run_is_not_published(
    copied: Path, segment: Segment, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"

    def listen(event: object) -> None:
        if isinstance(event, BlockDone):
            zarr.open_array(str(copied))[-1, -1] = 0

    with pytest.raises(ResumeError, match="c/2/2 changed since it was begun"):
        segment(output, source=copied, on_event=listen)
    assert not is_complete(str(output))


def test_another_image_is_refused_before_there_are_workers(
    copied: Path, segment: Segment, write_model, tmp_path: Path
) -> None:
    output, model = tmp_path / "out.zarr", write_model(tmp_path / "m.safetensors", fixed=False)
    segment(output, source=copied, model=model, part=Part(1, 2))
    zarr.open_array(str(copied))[300:] = 7
    nobody = bigunet.ClusterSpec(scheduler="tcp://127.0.0.1:9")
    # The grey range changed too, but a message about it would say less.
    with pytest.raises(ResumeError, match="c/1/0 changed since it was begun"):
        segment(output, source=copied, model=model, existing="resume", client=nobody)


def test_an_image_that_was_touched_or_copied_goes_on(
    copied: Path, segment: Segment, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    segment(output, source=copied, part=Part(1, 2))
    for path in copied.rglob("*"):
        os.utime(path, (1, 1))
    zarr.open_array(str(copied), mode="r+").attrs["note"] = "looked at"
    assert segment(output, source=copied, existing="resume").finished


def test_another_mask_of_the_same_name_is_refused(segment: Segment, tmp_path: Path) -> None:
    path = tmp_path / "mask.zarr"
    mask = zarr.create_array(str(path), shape=(60, 52), chunks=(60, 52), dtype="uint8")
    mask[30:] = 1
    options = SegmentOptions(block_shape=(BLOCK, BLOCK), mask=str(path))
    segment(tmp_path / "out.zarr", options=options, part=Part(1, 2))
    mask[40:] = 0
    with pytest.raises(ResumeError, match=r"mask\.zarr/c/0/0 changed"):
        segment(tmp_path / "out.zarr", options=options, existing="resume")


def test_a_ledger_that_does_not_know_the_image_is_refused_in_one_line(
    output: Path, segment: Segment
) -> None:
    path = output / "bigunet" / "ledger.jsonl"
    first, *blocks = map(json.loads, path.read_bytes().splitlines())
    del first["fingerprint"]["content"]
    for record in (first, *blocks):
        del record["crc"]
        record.pop("files", None)
    path.write_text("".join(json.dumps(record) + "\n" for record in (first, *blocks)))
    with pytest.raises(ResumeError, match="did not record the content of its image") as caught:
        segment(output, existing="resume")
    assert "\n" not in str(caught.value)


lines = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"[]", b"7", b"null", b'"x"', b"{}", b"[" * 20_000, b"\xff\xfe\x00", b"9" * 5000,
            b'{"fingerprint":3}', b'{"fingerprint":{}}', b'{"stage":[],"block":1}',
            b'{"stage":"segment","block":1}', b'{"stage":"segment","block":true}',
            b'{"stage":"segment","block":1e3}', b'{"stage":"segment","block":-1}',
            b'{"stage":"segment","block":99}', b'{"stage":"other","block":0}',
            b'{"stage":"segment","block":' + b"9" * 300 + b"}",
            b'{"stage":"segment","lost":[[1]],"loss":1}', b'{"stage":"segment","lost":3}',
        ]
    ),
)  # fmt: skip


@settings(FEW, max_examples=30)
@given(data=st.data())
def test_a_changed_ledger_is_refused_in_one_line_or_does_no_harm(
    data: st.DataObject, whole: Path, segment: Segment, tmp_path: Path
) -> None:
    output = tmp_path / "out.zarr"
    again(whole, output)
    path = output / "bigunet" / "ledger.jsonl"
    kept = path.read_bytes().splitlines()
    place = st.integers(0, len(kept) - 1)
    for _ in range(data.draw(st.integers(1, 3))):
        at, how = data.draw(place), data.draw(st.sampled_from(["flip", "line", "twice", "cut"]))
        if how == "flip" and kept[at]:
            line = bytearray(kept[at])
            line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
            kept[at] = bytes(line)
        elif how == "line":
            kept[at] = data.draw(lines)
        elif how == "twice":
            kept.append(kept[at])
        elif how == "cut":
            kept[at] = kept[at][: data.draw(st.integers(0, 60))]
    path.write_bytes(b"\n".join(kept) + data.draw(st.sampled_from([b"\n", b""])))
    try:
        segment(output, existing="resume")
        refusal = ""
    except ResumeError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert refusal or contents(output) == contents(whole)
