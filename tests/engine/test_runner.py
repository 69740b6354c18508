"""Laws of the runner: it runs each block once, submits few ahead, and reports failures."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import dask
import pytest
from distributed import Client, LocalCluster, Scheduler

from bigunet.engine import block_tasks
from bigunet.engine import runner as module
from bigunet.engine.clusters.client import close_cluster
from bigunet.engine.clusters.environments import versions
from bigunet.engine.ledger import Ledger
from bigunet.engine.on_worker import run_block
from bigunet.engine.runner import BLOCKS_PER_THREAD, Runner
from bigunet.engine.stage import Index, Result, Stage, Work
from bigunet.errors import BlockError, ClusterError, ImageError, StoppedError
from bigunet.events import BlockDone, Event, Notice, StageBegun


def stage_of(work: Work, count: int = 20, *, name: str = "predict") -> Stage:
    """A stage of ``count`` blocks in a row, done from the last to the first."""

    def backwards() -> Iterator[Index]:
        return ((number,) for number in reversed(range(count)))

    return Stage(name, count, backwards, lambda index: index[0], work)


def double(index: Index) -> Result:
    return {"twice": 2 * index[0]}


def _kept(number: int) -> Kept:
    return Kept.kept[number]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin({})
        yield ledger


def run(client: Client, stage: Stage, ledger: Ledger) -> list[Event]:
    with Runner(client, (stage,)) as runner:
        return list(runner.run(stage, ledger))


def plugins(client: Client) -> list[str]:
    names = client.run(lambda dask_worker: list(dask_worker.plugins)).values()
    return [name for of_worker in names for name in of_worker if name.startswith("bigunet")]


class Kept:
    """Work whose pickle gives the same object, for a worker in this process."""

    kept: ClassVar[list[Kept]] = []

    def __init__(self, work: Work) -> None:
        self._work = work
        self.kept.append(self)

    def __call__(self, index: Index) -> Result:
        return self._work(index)

    def __reduce__(self) -> tuple[Any, ...]:
        return _kept, (self.kept.index(self),)


def test_every_block_is_run_once_and_recorded(client: Client, ledger: Ledger) -> None:
    ran: Counter[Index] = Counter()

    def counted(index: Index) -> Result:
        ran[index] += 1
        return double(index)

    begun, *events = run(client, stage_of(Kept(counted)), ledger)
    assert begun == StageBegun("predict", 0, 20)
    assert ran == Counter({(number,): 1 for number in range(20)})
    assert ledger.done("predict") == set(range(20))
    assert {r["block"]: r["twice"] for r in ledger.results("predict")} == {
        number: 2 * number for number in range(20)
    }
    done = [event for event in events if isinstance(event, BlockDone)]
    assert [event.num_done for event in done] == list(range(1, 21))
    assert all(double(event.index).items() <= event.result.items() for event in done)


def test_blocks_in_the_ledger_are_skipped(client: Client, ledger: Ledger) -> None:
    for number in (0, 5, 19):
        ledger.append("predict", number, {"twice": -1})
    begun, *events = run(client, stage_of(double), ledger)
    assert begun == StageBegun("predict", 3, 20)
    assert len(events) == 17
    assert not {event.index[0] for event in events if isinstance(event, BlockDone)} & {0, 5, 19}
    assert ledger.done("predict") == set(range(20))


@pytest.mark.parametrize("count", [0, 4])
def test_a_stage_with_nothing_to_do_does_nothing(
    client: Client, ledger: Ledger, count: int
) -> None:
    def never(index: Index) -> Result:
        raise AssertionError(index)

    for number in range(count):
        ledger.append("predict", number, {})
    events = run(client, stage_of(never, count), ledger)
    assert events == [StageBegun("predict", count, count)]


def test_stages_keep_their_own_work_and_their_own_record(client: Client, ledger: Ledger) -> None:
    def triple(index: Index) -> Result:
        return {"thrice": 3 * index[0]}

    stages = (stage_of(double, 5), stage_of(triple, 3, name="merge"))
    with Runner(client, stages) as runner:
        for stage in stages:
            list(runner.run(stage, ledger))
    assert sum(result["twice"] for result in ledger.results("predict")) == 20
    assert sum(result["thrice"] for result in ledger.results("merge")) == 9


def test_no_more_than_a_window_of_blocks_is_submitted_ahead(client: Client, ledger: Ledger) -> None:
    taken = reported = most = 0

    def counted() -> Iterator[Index]:
        nonlocal taken, most
        for number in range(10**9):
            taken += 1
            most = max(most, taken - reported)
            yield (number,)

    stage = Stage("predict", 10**9, counted, lambda index: index[0], double)
    with (
        Runner(client, (stage,)) as runner,
        contextlib.closing(runner.run(stage, ledger)) as events,
    ):
        for event in events:
            reported += isinstance(event, BlockDone)
            if reported == 30:
                break
    window = BLOCKS_PER_THREAD * sum(client.nthreads().values())
    # One more has ended, and its event is on the way.
    assert window <= most <= window + 1


def tasks_of(stage: str, dask_scheduler: Scheduler) -> list[str]:
    return [key for key in dask_scheduler.tasks if str(key).startswith(f"{stage}-")]


def test_blocks_of_a_run_that_was_closed_leave_the_workers(client: Client, ledger: Ledger) -> None:
    stage = stage_of(double, 1000)
    with Runner(client, (stage,)) as runner:
        events = runner.run(stage, ledger)
        for _, _ in zip(range(3), events):
            pass
        events.close()
    assert len(ledger.done("predict")) <= 3
    deadline = time.monotonic() + 20
    while left := client.run_on_scheduler(tasks_of, "predict"):
        assert time.monotonic() < deadline, left


def test_a_block_that_is_cancelled_too_late_logs_no_traceback(client: Client) -> None:
    outcome = client.submit(run_block, "bigunet-gone", "predict", (0,), pure=False).result()
    assert "its run has ended" in str(outcome.error)


def test_the_client_is_left_as_it_was(client: Client, ledger: Ledger) -> None:
    stage = stage_of(double, 3)
    with Runner(client, (stage,)) as runner:
        assert len(plugins(client)) == 1
        list(runner.run(stage, ledger))
    assert plugins(client) == []
    failing = stage_of(failing_at(1, ValueError("no")), 3, name="failing")
    with pytest.raises(BlockError, match="ValueError"):
        run(client, failing, ledger)
    assert plugins(client) == []


def failing_at(number: int, error: Exception) -> Work:
    def work(index: Index) -> Result:
        if index == (number,):
            raise error
        return double(index)

    return work


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad voxel"), "ValueError: bad voxel"),
        (KeyError(), "KeyError: KeyError"),
        (ImageError("chunk 0.0 is damaged"), "chunk 0.0 is damaged"),  # needs no name of its type
    ],
)
def test_a_block_that_fails_is_named_with_its_cause(
    client: Client, ledger: Ledger, error: Exception, message: str
) -> None:
    stage = stage_of(failing_at(12, error))
    with pytest.raises(BlockError, match=rf"(?m)^predict block \(12,\): {message}$") as caught:
        run(client, stage, ledger)
    assert type(caught.value.__cause__) is type(error)
    assert "in work\n" in "".join(caught.value.__notes__)
    assert 12 not in ledger.done("predict")
    run(client, stage_of(double), ledger)
    assert ledger.done("predict") == set(range(20))


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_a_failure_logs_no_traceback(client: Client, ledger: Ledger) -> None:
    heard = _Heard()
    loggers = [logging.getLogger(name) for name in ("", "distributed", "distributed.worker")]
    for logger in loggers:
        logger.addHandler(heard)
    try:
        with pytest.raises(BlockError, match="ValueError: no"):
            run(client, stage_of(failing_at(3, ValueError("no"))), ledger)
    finally:
        for logger in loggers:
            logger.removeHandler(heard)
    assert not [r for r in heard.records if r.exc_info or "Traceback" in r.getMessage()]


def test_blocks_of_one_worker_run_side_by_side(client: Client, ledger: Ledger) -> None:
    barrier = threading.Barrier(2, timeout=20)

    def meet(index: Index) -> Result:
        barrier.wait()
        return {}

    run(client, stage_of(Kept(meet), 2), ledger)
    assert ledger.done("predict") == {0, 1}


@contextlib.contextmanager
def processes(count: int) -> Iterator[Client]:
    """A client of worker processes, which nannies restart when they are killed."""
    options: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        cluster = LocalCluster(
            n_workers=count, threads_per_worker=1, silence_logs=logging.CRITICAL, **options
        )
        try:
            with Client(cluster) as client:
                yield client
        finally:
            close_cluster(cluster)


def killing(marker: Path | None) -> Callable[[Index], Result]:
    """Work that kills its process at block 7: once, or each time if there is no marker."""

    def work(index: Index) -> Result:
        if index == (7,) and (marker is None or not marker.exists()):
            if marker is not None:
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"twice": 2 * index[0]}

    return work


@pytest.mark.slow
def test_killed_workers_lose_no_block_and_deadly_blocks_end_the_run(
    ledger: Ledger, tmp_path: Path
) -> None:
    with processes(2) as client:
        stage = stage_of(killing(tmp_path / "killed"))
        run(client, stage, ledger)
        assert (tmp_path / "killed").exists()
        assert ledger.done("predict") == set(range(20))
        assert sum(result["twice"] for result in ledger.results("predict")) == 380
        deadly = stage_of(killing(None), 8, name="deadly")
        # Block 6 may be named instead: it waited on the worker that block 7 killed.
        with pytest.raises(ClusterError, match=r"deadly block \([67],\) lost its worker 2 times"):
            run(client, deadly, ledger)


def test_a_run_without_workers_says_so_and_stops_when_asked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ALONE_SECONDS", 0.0)
    stop = threading.Event()
    with (
        Client(
            processes=False, n_workers=0, protocol="tcp", host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as client,
        Runner(client, (stage_of(double),), stop=stop) as runner,
    ):  # fmt: skip
        events = runner.run(stage_of(double), ledger)
        assert isinstance(next(events), StageBegun)
        assert next(events) == Notice("no worker is left: waiting for one")
        stop.set()
        with pytest.raises(StoppedError, match="0 of 20 blocks are done"):
            next(events)


def test_no_block_of_a_worker_with_other_packages_is_recorded(
    client: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(double)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(block_tasks, "versions", lambda: versions() | {"torch": "0.4.1"})
        runner = Runner(client, (stage,))
    # This stands for a worker that joined after the check.
    monkeypatch.setattr(block_tasks, "check_environments", lambda *_: None)
    with runner, pytest.raises(ClusterError, match=r"worker .* has torch .*\(here 0\.4\.1\)"):
        list(runner.run(stage, ledger))
    assert not ledger.done("predict")


@pytest.mark.slow
def test_errors_that_cannot_be_pickled_are_reported_too(ledger: Ledger) -> None:
    class TwoPartError(Exception):
        """It can be pickled, but not unpickled."""

        def __init__(self, one: str, two: str) -> None:
            super().__init__(one + two)

    def locked(index: Index) -> Result:
        raise ValueError("half voxel", threading.Lock())

    def two_parts(index: Index) -> Result:
        raise TwoPartError("half ", "voxel")

    def unreadable(index: Index) -> Result:
        try:
            two_parts(index)
        except TwoPartError as error:
            raise ImageError("half voxel") from error
        return {}

    with processes(1) as client:
        with pytest.raises(BlockError, match=r"block \(0,\): half voxel") as caught:
            run(client, stage_of(unreadable, 1), ledger)
        assert isinstance(caught.value.__cause__, ImageError)
        for work, kind in ((locked, "ValueError"), (two_parts, "TwoPartError")):
            with pytest.raises(BlockError, match=rf"block \(0,\): .*{kind}: .*half voxel"):
                run(client, stage_of(work, 1), ledger)
