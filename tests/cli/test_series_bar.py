"""The bar of several images: what it counts, and lines above it."""

from __future__ import annotations

import io
import sys

import pytest
from bigunet_cli.series_bar import SeriesBar

from bigunet.events import BlockDone, Event, Notice, RunsDone, StageBegun


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def as_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let stderr be a terminal; a fixture could not, because pytest changes stderr after it."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "160")
    return stream


def block(run: str, done: int, of: int) -> BlockDone:
    return BlockDone("segment", (done,), {"voxels": 10**6}, done, of, run)


def last_line(events: list[Event], monkeypatch: pytest.MonkeyPatch) -> str:
    terminal = as_terminal(monkeypatch)
    with SeriesBar("field", shown=True) as bar:
        for event in events:
            bar(event)
    return terminal.getvalue().split("\r")[-1].strip()


def test_the_bar_counts_images_and_the_blocks_of_those_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = ("A/1/0", "A/1/1", "A/2/0")
    begun = [RunsDone(0, 4), *(StageBegun("segment", 0, 2, run=run) for run in runs)]
    half = last_line([*begun, block("A/1/0", 1, 2)], monkeypatch)
    assert half.startswith("12%")
    assert "| 0 of 4 fields, at work A/1/0, A/1/1 and 1 more, " in half
    one = [block("A/1/0", 1, 2), block("A/1/0", 2, 2), RunsDone(1, 4, "A/1/0")]
    line = last_line([*begun, *one], monkeypatch)
    assert line.startswith("25%")
    assert "| 1 of 4 fields, at work A/1/1, A/2/0, " in line


def test_lines_stand_alone_and_a_notice_names_its_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = as_terminal(monkeypatch)
    with SeriesBar("image", shown=True) as bar:
        bar(RunsDone(0, 2))
        bar(Notice("Warning: it is flat", run="/x/a.zarr"))
        bar(Notice("no worker is left"))
    lines = terminal.getvalue().replace("\r", "\n").splitlines()
    assert "image /x/a.zarr: Warning: it is flat" in lines
    assert "no worker is left" in lines


def test_without_a_bar_notices_are_printed_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    with SeriesBar("image", shown=False) as bar:
        bar(RunsDone(0, 2))
        bar(StageBegun("segment", 0, 2, run="a", dashboard="http://127.0.0.1:8787/status"))
        bar(Notice("Warning: it is flat", run="a"))
    assert capsys.readouterr().err == "image a: Warning: it is flat\n"
