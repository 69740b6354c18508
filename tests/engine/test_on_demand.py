"""Laws of blocks on request: each is computed once, the latest request first, others not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar

import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from bigunet.engine.ledger import Ledger
from bigunet.engine.on_demand import OnDemand
from bigunet.engine.stage import Index, Result, Stage
from bigunet.engine.wishes import Wish, Wishes
from bigunet.errors import BlockError, ImageError, OutputError, StoppedError
from bigunet.events import BlockDone, Event

_BLOCKS = st.integers(0, 4)
_STEPS = st.lists(st.tuples(st.sampled_from(["ask", "drop", "take", "end"]), _BLOCKS), max_size=40)


def wish_of(number: int) -> Wish:
    return Wish((number,), Future())


@given(_STEPS)
def test_the_next_block_is_one_that_somebody_asks_for_and_nobody_has_begun(
    steps: list[tuple[str, int]],
) -> None:
    wishes = Wishes()
    asked: list[Wish] = []
    begun: set[Index] = set()
    for step, number in steps:
        if step == "ask":
            asked.append(wish_of(number))
            wishes.add(asked[-1])
        elif step == "drop" and asked:
            wishes.drop(asked.pop(number % len(asked)))
        elif step == "take":
            waiting = [wish.index for wish in asked if wish.index not in begun]
            index = wishes.take()
            assert index in waiting if waiting else index is None
            if index is not None:
                begun.add(index)
        elif step == "end":
            index = (number,)
            answered = wishes.end(index)
            assert answered == [wish for wish in asked if wish.index == index]
            asked = [wish for wish in asked if wish.index != index]
            begun.discard(index)
    assert Counter(map(id, wishes.end_all())) == Counter(map(id, asked))


@given(st.lists(_BLOCKS, min_size=1, max_size=20))
def test_blocks_that_nobody_drops_come_in_the_order_of_their_latest_requests(
    numbers: list[int],
) -> None:
    wishes = Wishes()
    for number in numbers:
        wishes.add(wish_of(number))
    order = []
    while (index := wishes.take()) is not None:
        order.append(index[0])
    assert order == list(dict.fromkeys(reversed(numbers)))


class Gate:
    """Work that waits until it is let through; the test and the worker share this process."""

    opened = threading.Event()
    begun: ClassVar[Counter[int]] = Counter()
    entered = threading.Semaphore(0)

    def __call__(self, index: Index) -> Result:
        Gate.begun[index[0]] += 1
        Gate.entered.release()
        assert Gate.opened.wait(60)
        if index[0] == 13:
            raise ImageError("unlucky")
        return {"twice": 2 * index[0]}


@pytest.fixture
def gate() -> Iterator[None]:
    Gate.opened, Gate.begun, Gate.entered = threading.Event(), Counter(), threading.Semaphore(0)
    yield
    Gate.opened.set()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "record").mkdir()
    with Ledger(tmp_path / "record" / "ledger") as ledger:
        ledger.begin({})
        yield ledger


Open = Callable[..., OnDemand]


def on_demand(client: Client, ledger: Ledger, heard: list[Event] | None = None) -> OnDemand:
    stage = Stage("segment", 20, lambda: iter(()), lambda index: index[0], Gate())
    events = [] if heard is None else heard
    return OnDemand(client, stage, ledger, output="here", on_event=events.append)


def test_each_block_is_computed_once_and_the_latest_request_goes_first(
    client: Client, ledger: Ledger, gate: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Event] = []
    with on_demand(client, ledger, heard) as blocks:
        monkeypatch.setattr(blocks._tasks, "num_threads", lambda: 1)
        first = blocks.ask((0,))
        assert Gate.entered.acquire(timeout=60)
        wishes = [blocks.ask((number,)) for number in (1, 2, 3, 4, 2, 0)]
        unwanted = blocks.ask((5,))
        blocks.drop(unwanted)
        Gate.opened.set()
        for wish in (first, *wishes):
            wish.future.result(timeout=60)
        assert blocks.ask((3,)).future.done()
        assert blocks.num_done == 5
    assert Gate.begun == Counter([0, 1, 2, 3, 4])
    assert ledger.done("segment") == {0, 1, 2, 3, 4}
    done = [event.index[0] for event in heard if isinstance(event, BlockDone)]
    assert done == [0, 2, 4, 3, 1]
    assert not unwanted.future.done()


def test_a_block_that_fails_says_why_and_may_be_asked_for_again(
    client: Client, ledger: Ledger, gate: None
) -> None:
    Gate.opened.set()
    with on_demand(client, ledger) as blocks:
        for _ in range(2):
            with pytest.raises(BlockError, match=r"segment block \(13,\): unlucky"):
                blocks.ask((13,)).future.result(timeout=60)
        blocks.ask((1,)).future.result(timeout=60)
    assert ledger.done("segment") == {1}
    assert Gate.begun[13] == 2


def test_the_end_answers_all_and_records_what_is_done(
    client: Client, ledger: Ledger, gate: None
) -> None:
    with on_demand(client, ledger) as blocks:
        waiting = [blocks.ask((number,)) for number in range(4)]
        assert Gate.entered.acquire(timeout=60)
        threading.Timer(0.2, Gate.opened.set).start()
    for wish in waiting:
        if wish.future.exception(timeout=60) is None:
            assert wish.index[0] in ledger.done("segment")
        else:
            assert isinstance(wish.future.exception(), StoppedError)
    with pytest.raises(StoppedError):
        blocks.ask((7,)).future.result(timeout=60)


def test_nothing_goes_on_when_the_ledger_cannot_be_written(
    client: Client, ledger: Ledger, gate: None, tmp_path: Path
) -> None:
    (tmp_path / "record").rename(tmp_path / "elsewhere")
    Gate.opened.set()
    with on_demand(client, ledger) as blocks:
        with pytest.raises(OutputError, match="was moved or removed"):
            blocks.ask((1,)).future.result(timeout=60)
        with pytest.raises(OutputError, match="was moved or removed"):
            blocks.ask((2,)).future.result(timeout=60)
    assert ledger.done("segment") == set()
