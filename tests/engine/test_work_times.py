"""Laws of who did a block when: threads of a worker at the same time have different numbers."""

from __future__ import annotations

import threading
import time

from bigunet.engine.stage import Result
from bigunet.engine.work_times import timed


def test_a_block_has_its_worker_its_begin_and_its_seconds() -> None:
    begun = time.time()
    with timed("inproc://10.0.0.1/77/3") as measured:
        time.sleep(0.02)
    assert set(measured) == {"worker", "thread", "begun", "seconds"}
    assert measured["worker"].endswith(":3")
    assert measured["thread"] == 0
    assert measured["seconds"] >= 0.02
    # Milliseconds are kept.
    assert begun - 0.001 <= measured["begun"] <= time.time()


def test_blocks_at_the_same_time_have_different_threads_and_a_free_number_is_taken_again() -> None:
    results: list[Result] = []
    together = threading.Barrier(3)

    def work() -> None:
        with timed("tcp://a:1") as measured:
            together.wait(10)
        results.append(measured)

    for _ in range(2):
        results.clear()
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        with timed("tcp://a:2") as other:
            pass
        for thread in threads:
            thread.join()
        assert sorted(result["thread"] for result in results) == [0, 1, 2]
        assert other["thread"] == 0


def test_a_block_that_fails_frees_its_thread() -> None:
    for _ in range(2):
        try:
            with timed("tcp://b:1") as measured:
                raise ValueError
        except ValueError:
            assert measured == {}
    with timed("tcp://b:1") as measured:
        pass
    assert measured["thread"] == 0
