"""Laws of the ledger: its blocks were done, wherever a crash cut the ledger off."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.engine.ledger import Ledger
from bigunet.engine.ledger_lines import encode
from bigunet.errors import OutputError, ResumeError

FINGERPRINT = {"model": "ab12", "shape": (4, 5), "options": {"level": 0}, "roi": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "out.zarr" / ".bigunet"
    folder.mkdir(parents=True)
    return folder / "ledger"


def begun(path: Path) -> Ledger:
    ledger = Ledger(path, anew=True)
    ledger.begin(FINGERPRINT)
    return ledger


def resumed(path: Path) -> Ledger:
    ledger = Ledger(path)
    if ledger.is_empty:
        ledger.begin(FINGERPRINT)
    ledger.check(FINGERPRINT)
    return ledger


def written(path: Path, *blocks: tuple[str, int]) -> None:
    with begun(path) as ledger:
        for stage, number in blocks:
            ledger.append(stage, number, {"voxels": 10 * number})


def test_a_run_continues_from_what_was_appended(path: Path) -> None:
    written(path, ("predict", 3), ("predict", 1), ("merge", 3))
    with resumed(path) as ledger:
        assert ledger.done("predict") == {1, 3}
        assert ledger.done("merge") == {3}
        assert ledger.done("other") == set()
        assert [r["voxels"] for r in ledger.results("predict")] == [30, 10]


def test_a_ledger_that_is_cut_off_at_any_byte_keeps_its_whole_lines_and_goes_on(path: Path) -> None:
    blocks = [7, 0, 12, 3]
    written(path, *(("predict", number) for number in blocks))
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        with resumed(path) as ledger:
            done = ledger.done("predict")
            assert done == set(blocks[: len(done)])
            assert len(done) == max(whole[:length].count(b"\n") - 1, 0)
            for number in blocks[len(done) :]:
                ledger.append("predict", number, {"voxels": 10 * number})
        assert path.read_bytes() == whole


def test_an_empty_or_missing_ledger_is_begun(path: Path) -> None:
    for _ in range(2):
        with resumed(path) as ledger:
            assert ledger.done("predict") == set()
    assert len(path.read_bytes().splitlines()) == 1


def test_a_ledger_that_is_begun_anew_forgets_its_blocks(path: Path) -> None:
    written(path, ("predict", 1))
    written(path)
    assert Ledger.peek(path)[1] == {}


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        ({"model": "cd34"}, "model was ab12, is cd34"),
        ({"shape": (4, 6)}, r"shape was \[4, 5\], is \[4, 6\]"),
        (
            {"options": {"level": 1, "more": 2}},
            "options.level was 0, is 1, options.more was None, is 2",
        ),
        ({"options": {"level": "x" * 900}}, r"options.level was 0, is x{100,180}\.\.\."),
        ({"grid": [1]}, r"grid was None, is \[1\]"),  # an option that came later
        ({"model": "x", "roi": "y"}, "model was ab12, is x; roi was None, is y"),
    ],
)
def test_another_run_is_refused_and_the_difference_is_named(
    path: Path, now: dict[str, Any], difference: str
) -> None:
    written(path, ("predict", 1))
    before = path.read_bytes()
    message = rf"cannot resume .*out\.zarr: {difference}\. Give the same options, or --overwrite"
    with Ledger(path) as ledger, pytest.raises(ResumeError, match=message):
        ledger.check(FINGERPRINT | now)
    assert path.read_bytes() == before


def test_a_second_coordinator_is_refused_and_harms_nothing(path: Path) -> None:
    with begun(path) as first:
        first.append("predict", 1, {})
        with pytest.raises(
            OutputError, match=r"out\.zarr is being written by another bigunet; wait"
        ):
            Ledger(path)
        first.append("predict", 2, {})
    with resumed(path) as second:
        assert second.done("predict") == {1, 2}


def test_another_process_holds_the_lock_until_it_dies(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from bigunet.engine.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(OutputError, match="is being written by another bigunet"):
            Ledger(path)
        other.kill()
    Ledger(path).close()


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("a", "b")), st.integers(0, 5))))
def test_results_count_each_block_once(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    written(path, *blocks)
    with resumed(path) as ledger:
        for stage in ("a", "b"):
            numbers = [result["block"] for result in ledger.results(stage)]
            assert len(numbers) == len(set(numbers))
            assert set(numbers) == ledger.done(stage) == {n for s, n in blocks if s == stage}
    counts = {stage: len({n for s, n in blocks if s == stage}) for stage, _ in blocks}
    assert Ledger.peek(path) == (json.loads(json.dumps(FINGERPRINT)), counts)


def test_a_ledger_can_be_read_while_a_run_writes_it(path: Path) -> None:
    with begun(path) as ledger:
        ledger.append("predict", 1, {})
        with path.open("ab") as torn:
            torn.write(b'{"stage":"pre')
        assert Ledger.peek(path)[1] == {"predict": 1}
        assert len(list(ledger.results("predict"))) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"7", "checksum"),
        (b'{"stage":"predict","block":1}', "checksum"),
        (b'{"stage":"predict","block":2,"crc":"00000000"}', "checksum"),
        (b'{"stage":"predict","block":2,"crc":7}', "checksum"),
    ],
)
def test_a_damaged_line_is_named_with_its_number_and_what_to_do(
    path: Path, line: bytes, why: str
) -> None:
    written(path, ("predict", 1))
    with path.open("ab") as file:
        file.write(line + b"\n")
    message = rf"ledger, line 3, is damaged \(.*{why}.*\): begin anew with --overwrite$"
    for look in (Ledger, Ledger.peek):
        with pytest.raises(ResumeError, match=message):
            look(path)


@pytest.mark.parametrize(
    "record",
    [
        {"fingerprint": 3},
        {"fingerprint": [1]},
        {"stage": "predict", "block": 1},  # no fingerprint comes first
    ],
)
def test_a_ledger_that_begins_with_no_fingerprint_is_damaged(
    path: Path, record: dict[str, Any]
) -> None:
    path.write_bytes(encode(record))
    with pytest.raises(ResumeError, match=r"line 1, is damaged \(no record"):
        Ledger(path)


@pytest.mark.parametrize(
    "record",
    [
        {"voxels": 1},
        {"stage": ["predict"], "block": 1},
        {"stage": "predict"},
        {"stage": "predict", "block": True},
        {"stage": "predict", "block": 1.0},
        {"stage": "predict", "block": -1},
        {"stage": "predict", "block": 2**70},
        {"stage": "predict", "block": 1, "after": "x"},
        {"stage": "predict", "lost": 1, "loss": 1},
        {"stage": "predict", "lost": [[]], "loss": 1},
        {"stage": "predict", "lost": [1]},
        {"fingerprint": {}},  # a second one
    ],
)
def test_a_line_that_is_no_record_is_damaged_whatever_its_checksum(
    path: Path, record: dict[str, Any]
) -> None:
    written(path)
    with path.open("ab") as file:
        file.write(encode(record))
    with pytest.raises(ResumeError, match=r"line 2, is damaged \(no record"):
        Ledger(path)


def test_the_ledger_of_a_part_can_be_removed_alone(path: Path) -> None:
    part = path.with_name("part-1-of-2.jsonl")
    part.write_bytes(b"{\n")
    with pytest.raises(ResumeError, match="remove this file, and its blocks are computed again"):
        Ledger(part)


@settings(deadline=None)
@given(data=st.data())
def test_a_changed_byte_is_noticed_or_adds_no_block(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    written(path, ("predict", 1), ("predict", 2))
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    with contextlib.suppress(ResumeError), resumed(path) as ledger:
        assert ledger.done("predict") <= {1, 2}


def test_an_objection_of_the_judge_is_raised_after_the_fingerprint_is_checked(path: Path) -> None:
    written(path, ("predict", 1), ("predict", 9))
    with Ledger(path, judge=lambda stage, block, _: "too large" if block > 5 else "") as ledger:
        with pytest.raises(ResumeError, match="model was"):
            ledger.check(FINGERPRINT | {"model": "x"})
        ledger.check(FINGERPRINT)
        with pytest.raises(ResumeError, match=r"line 3, is damaged \(too large\)"):
            ledger.check_records()


def test_lost_blocks_count_as_done_only_after_they_are_done_again(path: Path) -> None:
    part = path.with_name("part-1-of-2.jsonl")
    written(path, ("predict", 1), ("predict", 2))
    with resumed(path) as ledger:
        ledger.forget({"predict": [2], "merge": [0]})
        assert ledger.done("predict") == {1}
    with Ledger(path) as ledger:
        assert ledger.done("predict") == {1}
        assert [result["block"] for result in ledger.results("predict")] == [1]
    with Ledger(part, beside=lambda: [path]) as ledger:
        ledger.begin(FINGERPRINT)
    with Ledger(part, beside=lambda: [path]) as ledger:
        assert ledger.done("predict") == {1}
        ledger.append("predict", 2, {"voxels": 7})
    with Ledger(path, beside=lambda: [part]) as ledger:
        assert ledger.done("predict") == {1, 2}
        assert {r["block"]: r["voxels"] for r in ledger.results("predict")} == {1: 10, 2: 7}
        ledger.forget({"predict": [1, 2]})
    assert Ledger.peek(path, [part])[1]["predict"] == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("done", "lost", "open")), st.integers(0, 3))))
def test_blocks_count_as_done_if_they_were_done_after_their_last_loss(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    ledger, done = begun(path), set()
    for step, block in steps:
        if step == "done":
            ledger.append("a", block, {})
            done.add(block)
        elif step == "lost":
            ledger.forget({"a": [block]})
            done.discard(block)
        else:
            ledger.close()
            ledger = resumed(path)
        assert ledger.done("a") == done
        assert {result["block"] for result in ledger.results("a")} == done
    ledger.close()
    assert Ledger.peek(path)[1].get("a", 0) == len(done)


def test_a_ledger_that_was_moved_away_takes_no_more_blocks(path: Path) -> None:
    with begun(path) as ledger:
        path.parent.parent.rename(path.parent.parent.with_name("moved.zarr"))
        with pytest.raises(OutputError, match=r"out\.zarr was moved or removed while it was writ"):
            ledger.append("predict", 1, {})


def test_a_pipe_in_place_of_the_ledger_is_refused_at_once(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OutputError, match="is no file"):
        Ledger(path)


@contextlib.contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Limit the length of files, as on a full disk, for this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_is_an_output_error_after_which_the_run_goes_on(path: Path, room: int) -> None:
    written(path, ("predict", 1))
    with no_file_longer_than(path.stat().st_size + room):
        with (
            pytest.raises(OutputError, match=r"cannot write .*ledger: .*; make room and run with"),
            Ledger(path) as ledger,
        ):
            ledger.append("predict", 2, {})
        assert ledger.done("predict") == {1}
    with resumed(path) as ledger:
        assert ledger.done("predict") == {1}
        ledger.append("predict", 2, {})
    assert Ledger.peek(path)[1] == {"predict": 2}


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot open .*ledger: No such file"):
        Ledger(tmp_path / "none" / "ledger")
