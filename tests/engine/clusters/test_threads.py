"""Laws of workers in threads of this process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import dask
import psutil
import pytest
from distributed import Client, default_client

from bigunet.engine.clusters.client import check_client, open_client, workers_per_cores
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.engine.clusters.worker_settings import THREADS_PER_WORKER
from bigunet.engine.ledger import Ledger
from bigunet.engine.runner import Runner
from bigunet.engine.stage import Index, Result, Stage

THREADS = ClusterSpec("threads")


def listening() -> set[tuple[str, int]]:
    connections = psutil.Process().net_connections()
    return {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_no_process_is_started_and_no_port_is_opened() -> None:
    before = listening(), children()
    with open_client(THREADS) as client:
        check_client(client)
        assert set(client.run(os.getpid).values()) == {os.getpid()}
        assert list(client.nthreads().values()) == [THREADS_PER_WORKER]
        assert workers_per_cores(client) == 1
        assert not client.dashboard_link
        assert (listening(), children()) == before
    assert client.status == "closed"


def test_a_dashboard_opens_only_if_it_has_an_address() -> None:
    with open_client(ClusterSpec("threads", dashboard_address="127.0.0.1:0")) as client:
        host, _, port = client.dashboard_link.removeprefix("http://").partition(":")
        assert (host, int(port.removesuffix("/status"))) in listening()


def test_settings_of_the_caller_are_restored() -> None:
    def state() -> tuple[object, ...]:
        levels = [logging.getLogger(f"distributed{end}").level for end in ("", ".worker", ".core")]
        return dask.config.get("distributed.comm.timeouts"), levels, dask.config.get("scheduler", 0)

    before = state()
    with open_client(THREADS):
        pass
    assert state() == before


def test_a_callers_event_loop_is_left_alone() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        with open_client(THREADS) as client:
            total: int = client.submit(sum, (1, 2), pure=False).result()
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is loop
        return total

    assert asyncio.run(main()) == 3


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), open_client(THREADS) as client:
        client.submit(sum, (1, 2), pure=False).result()
    assert [record.getMessage() for record in caplog.records] == []


def test_a_callers_limits_of_memory_do_not_pause_it() -> None:
    tiny = {f"distributed.worker.memory.{name}": 1e-9 for name in ("target", "spill", "pause")}
    with dask.config.set(tiny), open_client(THREADS) as client:
        time.sleep(0.6)  # Dask checks the memory twice in this time.
        assert client.submit(sum, (1, 2), pure=False).result(timeout=10) == 3


class _Endless:
    """Work that ends its blocks only when they are abandoned."""

    begun = threading.Event()

    def __init__(self) -> None:
        self._over = False

    def __call__(self, index: Index) -> Result:
        self.begun.set()
        while not self._over:
            time.sleep(0.01)
        raise RuntimeError("abandoned")

    def abandon(self) -> None:
        self._over = True


def _interrupted(stage: Stage, ledger: Ledger) -> None:
    with (
        open_client(THREADS) as client,
        Runner(client, (stage,), patient=False) as runner,
    ):
        threading.Thread(target=_press_ctrl_c).start()
        for _ in runner.run(stage, ledger):
            pass


def _press_ctrl_c() -> None:
    """Interrupt the run when a block is at work."""
    assert _Endless.begun.wait(10)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.fixture
def _ctrl_c_is_an_interrupt() -> Iterator[None]:
    """Whatever another test imported: dask-jobqueue takes Ctrl-C for itself."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_an_interrupt")
def test_an_interrupted_run_leaves_no_block_at_work(tmp_path: Path) -> None:
    numbers = range(9)
    stage = Stage("endless", 9, lambda: ((n,) for n in numbers), lambda index: index[0], _Endless())
    threads_before = threading.active_count()
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin({})
        with pytest.raises(KeyboardInterrupt):
            _interrupted(stage, ledger)
    assert not any(t.name.startswith("Dask-Default") for t in threading.enumerate())
    assert threading.active_count() <= threads_before + 2


def test_a_client_of_the_callers_own_stays_the_default(client: Client) -> None:
    before = default_client()
    with open_client(THREADS) as other:
        assert other is not before
        assert default_client() is before


def test_nothing_keeps_workers_in_threads_that_are_closed() -> None:
    with open_client(THREADS) as client:
        assert client.submit(len, "abc").result() == 3
        cluster = client.cluster
        kept = [weakref.ref(cluster.scheduler), *map(weakref.ref, cluster.workers.values())]
        del cluster
    del client
    gc.collect()
    assert [ref() for ref in kept] == [None, None]


class _Numbers:
    """Work that a run does, and that nothing is to keep afterwards."""

    alive: ClassVar[weakref.WeakSet[_Numbers]] = weakref.WeakSet()

    def __call__(self, index: Index) -> Result:
        self.alive.add(self)
        return {"number": index[0]}


def _counted(ledger: Ledger) -> int:
    numbers = range(4)
    stage = Stage("n", 4, lambda: ((n,) for n in numbers), lambda index: index[0], _Numbers())
    with open_client(THREADS) as client, Runner(client, (stage,), patient=False) as runner:
        events = sum(1 for _ in runner.run(stage, ledger))
        assert _Numbers.alive
    return events


def test_nothing_keeps_the_work_of_a_run_that_has_ended(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin({})
        assert _counted(ledger) == 1 + 4
    gc.collect()
    assert not _Numbers.alive
