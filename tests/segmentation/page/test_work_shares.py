"""Laws of the timeline: every second of every block is in it once, whatever the order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.segmentation.page.block_times import PIECES, BlockTimes, pieces_of
from bigunet.segmentation.page.time_section import block_map, thread_names, time_section
from bigunet.segmentation.page.work_shares import TIMES, WorkShares, without_pauses

SECONDS = st.floats(0, 50).map(lambda s: round(s, 4))


@st.composite
def runs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Blocks of a few threads; those of a thread follow one another."""
    records = []
    for thread in range(draw(st.integers(1, 3))):
        now = draw(st.floats(0, 1000))
        for _ in range(draw(st.integers(1, 5))):
            parts = [draw(SECONDS) for _ in PIECES]
            names = [
                "room_wait_seconds",
                "read_seconds",
                "device_wait_seconds",
                "_",
                "write_seconds",
            ]
            record: dict[str, Any] = dict(zip(names, parts))
            record |= {"stage": "segment", "block": len(records), "worker": "a:1:0"}
            record |= {"thread": thread, "begun": 1.7e9 + now, "seconds": sum(parts)}
            records.append(record)
            now += sum(parts) + draw(st.sampled_from([0.0, 0.5, 90.0, 1e5]))
    return draw(st.permutations(records))


@given(runs())
def test_the_timeline_holds_every_second_of_every_thread_and_state(
    records: list[dict[str, Any]],
) -> None:
    times = BlockTimes.of(records)
    work = WorkShares.of(times)
    _, _, pieces = times.arrays()
    assert work.state_seconds.sum() == pytest.approx(pieces.sum(), abs=1e-6)
    drawn = work.shares.sum(axis=2) * work.seconds / TIMES
    assert drawn == pytest.approx(work.state_seconds, abs=1e-4)
    assert work.shares.min() >= -1e-9
    assert work.shares.sum(axis=1).max() <= 1 + 1e-9


@given(runs())
def test_only_long_pauses_of_all_threads_are_left_out(records: list[dict[str, Any]]) -> None:
    begun = np.array([r["begun"] for r in records])
    ended = begun + [r["seconds"] for r in records]
    starts, stops = without_pauses(begun, ended)
    assert starts[0] == begun.min()
    assert stops[-1] == ended.max()
    assert (starts <= stops).all()
    assert (starts[1:] - stops[:-1] > 60).all()
    inside = (starts[:, None] <= begun) & (ended <= stops[:, None])
    assert (inside.sum(axis=0) == 1).all()


def test_a_pause_between_two_runs_is_left_out_and_said() -> None:
    record = {"stage": "segment", "worker": "a:1:0", "thread": 0, "seconds": 10.0}
    records = [{**record, "block": k, "begun": begun} for k, begun in enumerate((0.0, 7210.0))]
    section = time_section(BlockTimes.of(records), (2, 1))
    assert "pause of 2.0 h" in section
    assert WorkShares.of(BlockTimes.of(records)).seconds == 20


@given(runs())
def test_the_pieces_of_a_block_are_its_seconds(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert sum(pieces_of(record)) == pytest.approx(record["seconds"])


def test_other_stages_have_their_times_too() -> None:
    measured = {"stage": "label", "seconds": 5.0, "compute_seconds": 3.0, "write_seconds": 1.0}
    assert pieces_of(measured) == (1.0, 0.0, 0.0, 3.0, 1.0)
    assert pieces_of({"stage": "downsample1", "seconds": 2.0}) == (2.0, 0.0, 0.0, 0.0, 0.0)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.data())
def test_the_map_has_the_mean_of_the_blocks_behind_one_another(
    shape: list[int], data: st.DataObject
) -> None:
    numbers = data.draw(st.sets(st.integers(0, int(np.prod(shape)) - 1), min_size=1))
    seconds = {number: float(number + 1) for number in sorted(numbers)}
    whole = np.full(shape, np.nan)
    for number, value in seconds.items():
        whole[np.unravel_index(number, shape)] = value
    stack = whole.reshape(-1, *shape[-2:])
    known = np.isfinite(stack)
    mean = np.where(known, stack, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    expected = np.where(known.any(axis=0), mean, np.nan)
    np.testing.assert_allclose(block_map(seconds, tuple(shape)), expected)


def test_the_map_of_very_many_blocks_is_small() -> None:
    seconds = dict.fromkeys(range(0, 1000 * 300, 7), 1.0)
    assert max(block_map(seconds, (1000, 300)).shape) <= 96


def test_a_ledger_without_times_has_no_timeline() -> None:
    section = time_section(BlockTimes.of([{"stage": "segment", "block": 0}]), (1, 1))
    assert "has no times" in section


@pytest.mark.parametrize(
    ("threads", "names"),
    [
        ([("h:1:0", 0), ("h:1:0", 1)], ["thread 1", "thread 2"]),
        ([("h:2:0", 0), ("h:1:0", 0)], ["worker 2", "worker 1"]),
        ([("g:1:0", 1), ("h:1:0", 0)], ["worker 1, thread 2", "worker 2, thread 1"]),
    ],
)
def test_workers_are_numbered_and_no_host_is_named(
    threads: list[tuple[str, int]], names: list[str]
) -> None:
    assert thread_names(threads) == names
