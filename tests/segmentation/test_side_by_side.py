"""Laws of tasks in threads: their order, how many are at work, and how all of them end."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.segmentation.side_by_side import SideBySide, TaskSize

SIZES = st.lists(st.builds(TaskSize, st.integers(1, 6), st.integers(1, 5)), max_size=8)


@dataclass
class Tasks:
    """Tasks that count down their blocks, and what was seen of them."""

    sizes: list[TaskSize]
    enough: int
    stop: threading.Event = field(default_factory=threading.Event)
    left: dict[int, int] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    seen: list[dict[int, int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def side_by_side(self) -> SideBySide[int]:
        return SideBySide(self.do, size_of=self.size_of, enough=lambda: self.enough, stop=self.stop)

    def size_of(self, number: int) -> TaskSize:
        self.asked.append(number)
        return self.sizes[number]

    def do(self, number: int, note: Callable[[int], None]) -> int:
        self.left[number] = self.sizes[number].blocks
        self.begun.append(number)
        self.seen.append(dict(self.left))
        for left in reversed(range(self.sizes[number].blocks)):
            self.left[number] = left
            note(left)
            time.sleep(0.0002 * (number % 3))
        del self.left[number]
        return number * number

    def wait(self, number: int, note: Callable[[int], None]) -> int:
        """A task that ends when it is interrupted."""
        self.begun.append(number)
        try:
            while True:
                time.sleep(0.001)
        except KeyboardInterrupt:
            self.ended.append("interrupted")
            raise


@given(SIZES, st.integers(1, 12))
def test_outcomes_come_once_and_in_order_and_not_too_many_are_at_work(
    sizes: list[TaskSize], enough: int
) -> None:
    tasks = Tasks(sizes, enough)
    assert list(tasks.side_by_side().run(len(sizes))) == [n * n for n in range(len(sizes))]
    assert sorted(tasks.begun) == list(range(len(sizes)))
    for at_work in tasks.seen:
        assert len(at_work) <= min(sizes[number].together for number in at_work)
        # Without the task that began last, there were too few blocks for the workers.
        others = [max(1, left) for number, left in at_work.items() if number != max(at_work)]
        assert sum(others) < enough


@given(st.integers(1, 8), st.integers(1, 6))
def test_as_many_are_at_work_as_keep_the_workers_busy(count: int, enough: int) -> None:
    together = threading.Barrier(min(count, enough))

    def do(number: int, note: Callable[[int], None]) -> int:
        # It breaks if fewer tasks are at work at a time.
        if number < together.parties:
            together.wait(timeout=5)
        return number

    tasks = SideBySide(do, size_of=lambda number: TaskSize(1, 99), enough=lambda: enough)
    assert list(tasks.run(count)) == list(range(count))


@given(SIZES, st.integers(1, 12), st.integers(0, 7))
def test_no_task_begins_after_stop(sizes: list[TaskSize], enough: int, last: int) -> None:
    tasks = Tasks(sizes, enough)
    outcomes = tasks.side_by_side().run(len(sizes))
    taken = list(itertools.islice(outcomes, last))
    tasks.stop.set()
    asked = len(tasks.asked)
    taken += outcomes
    assert taken == [number * number for number in range(len(taken))]
    assert len(tasks.begun) == len(taken)
    # The size of a task is asked for before it begins.
    assert len(taken) <= asked == len(tasks.asked)


@given(st.integers(2, 6), st.data())
def test_an_exception_of_one_task_interrupts_the_others(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, count - 1))
    tasks = Tasks([TaskSize(1, 99)] * count, count)

    def do(number: int, note: Callable[[int], None]) -> int:
        if number != bad:
            return tasks.wait(number, note)
        while len(tasks.begun) < count - 1:
            time.sleep(0.001)
        raise ZeroDivisionError("a fault")

    several = SideBySide(do, size_of=tasks.size_of, enough=lambda: count)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        list(several.run(count))
    assert tasks.ended == ["interrupted"] * (count - 1)


def test_a_caller_that_leaves_early_interrupts_the_tasks_at_work() -> None:
    tasks = Tasks([TaskSize(1, 99)] * 3, 3)

    def do(number: int, note: Callable[[int], None]) -> int:
        if number:
            return tasks.wait(number, note)
        while len(tasks.begun) < 2:
            time.sleep(0.001)
        return number

    outcomes = SideBySide(do, size_of=tasks.size_of, enough=lambda: 3).run(3)
    assert next(outcomes) == 0
    outcomes.close()
    assert tasks.ended == ["interrupted"] * 2
    assert not [one for one in threading.enumerate() if one.name.startswith("bigunet-")]
