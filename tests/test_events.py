"""Laws of events and of the bar: one set for all verbs, typed, and nothing printed unasked."""

from __future__ import annotations

import dataclasses
import io
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

import bigunet
from bigunet import events
from bigunet.event_bar import EventBar, drawn
from bigunet.events import (
    BlockDone,
    Event,
    Notice,
    RunsDone,
    StageBegun,
    StepDone,
    TrainBegun,
    TrainEvent,
    Validated,
)  # fmt: skip

KINDS = (*typing.get_args(Event), *typing.get_args(TrainEvent))


def test_each_event_is_a_frozen_dataclass_that_is_public() -> None:
    in_module = {value for value in vars(events).values() if dataclasses.is_dataclass(value)}
    assert in_module == set(KINDS)
    for kind in KINDS:
        assert getattr(bigunet, kind.__name__) is kind
        assert kind.__dataclass_params__.frozen  # type: ignore[union-attr]
        assert kind.__doc__
        assert kind.__doc__.startswith(("Event: ", "The event "))


def test_events_come_with_one_argument_and_in_order(
    tiny_model: Path, client: Client, tmp_path: Path, write_image: Any
) -> None:
    write_image(tmp_path / "a.zarr", "yx", shape=(40, 30))
    seen: list[Event] = []
    given: dict[str, Any] = {"model": tiny_model, "client": client, "block_shape": (16, 16)}
    bigunet.segment(tmp_path / "a.zarr", tmp_path / "o.zarr", on_event=seen.append, **given)
    first = next(event for event in seen if isinstance(event, StageBegun))
    assert (first.stage, first.num_done, first.num_blocks) == ("segment", 0, 6)
    assert first.dashboard == (client.dashboard_link or "")
    counted = [e.num_done for e in seen if isinstance(e, BlockDone) and e.stage == "segment"]
    assert counted == [1, 2, 3, 4, 5, 6]
    several: list[Event] = []
    list(
        bigunet.segment_images(
            [tmp_path / "a.zarr"], tmp_path / "all", on_event=several.append, **given
        )
    )
    runs = [event for event in several if isinstance(event, RunsDone)]
    assert [(event.num_done, event.num_runs) for event in runs] == [(0, 1), (1, 1)]
    assert {e.run for e in several if isinstance(e, BlockDone)} == {str(tmp_path / "a.zarr")}


def test_nothing_is_printed_unless_a_bar_is_asked_for(
    tiny_model: Path, client: Client, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plane = np.arange(1200, dtype=np.uint16).reshape(40, 30)
    bigunet.predict(plane, tiny_model, client=client)
    assert capfd.readouterr() == ("", "")
    seen: list[Event] = []
    bigunet.predict(plane, tiny_model, client=client, progress=True, on_event=seen.append)
    out, err = capfd.readouterr()
    assert out == ""
    assert "segment 100%" in err
    assert "1/1" in err
    assert any(isinstance(event, BlockDone) for event in seen)


def drawn_for(*given: Event | TrainEvent, monkeypatch: pytest.MonkeyPatch) -> str:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with drawn(None, progress=True) as hear:
        assert hear is not None
        for event in given:
            hear(event)
    return stream.getvalue()


def test_the_bar_of_several_images_counts_images(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn_for(
        RunsDone(0, 2), StageBegun("segment", 0, 9, run="a"),
        BlockDone("segment", (0,), {}, 1, 9, "a"),
        RunsDone(1, 2, "a"), Notice("it is flat", run="b"), RunsDone(2, 2, "b"),
        monkeypatch=monkeypatch,
    )  # fmt: skip
    assert "images 100%" in text
    assert "2/2" in text
    assert "b: it is flat\n" in text
    assert "blocks" not in text


def test_the_bar_of_a_training_shows_loss_and_score(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn_for(
        TrainBegun(10, 2, (64, 64), 1000, 0, "dice"), StepDone(1, 0.5, 0.25),
        Validated(1, 0.875, True), StepDone(2, 1.0, 0.125), monkeypatch=monkeypatch,
    )  # fmt: skip
    last = text.rpartition("\r")[2]
    assert "training 100%" in last
    assert "loss 0.125, score 0.875" in last


numbers = st.integers(0, 5)
some_events = st.lists(
    st.builds(StageBegun, st.sampled_from("ab"), numbers, numbers)
    | st.builds(BlockDone, st.just("a"), st.just((0,)), st.just({}), numbers, numbers)
    | st.builds(RunsDone, numbers, numbers)
    | st.builds(StepDone, numbers, st.floats(0, 1), st.floats(0, 9))
    | st.builds(Validated, numbers, st.floats(allow_nan=True), st.booleans())
    | st.builds(Notice, st.text(max_size=3)),
    max_size=8,
)


@given(some_events)
def test_the_bar_takes_events_in_any_order(given: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", io.StringIO())
        bar = EventBar()
        for event in given:
            bar(event)
        bar.close()
        bar.close()
