"""Runs any stage on a Dask client, through a bounded window of coordinate-only tasks.

The work itself travels to each worker once, as a plugin; a task carries the block's index.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future, KilledWorker, WorkerPlugin, as_completed, get_worker
from distributed.core import Status
from distributed.protocol import pickle

from bigunet.engine.clusters.environments import check_environments, differences, versions
from bigunet.engine.clusters.submissions import last_refusal
from bigunet.engine.forget import forget_done_tasks, forget_split_names
from bigunet.engine.ledger import Ledger
from bigunet.engine.stage import (
    Abandonable,
    BlockDone,
    Event,
    Index,
    Notice,
    Result,
    Stage,
    StageBegun,
    Work,
)
from bigunet.errors import BigUNetError, BlockError, ClusterError, StoppedError
from bigunet.urls import without_secrets

# Two blocks per thread: the next is on the worker before the last has ended, and no more are
# bound to a worker that may be lost.
BLOCKS_PER_THREAD = 2
_POLL_SECONDS = 0.1
# Asking the scheduler takes as long as a block of no work.
_COUNT_SECONDS = 1.0
# Workers that are lost are started anew; after this long people should know.
_ALONE_SECONDS = 60.0
_FORGET_EVERY = 1000
_BLOCKS_RUNNING: Counter[str] = Counter()
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Failure:
    """An exception as a value: raised, it would be logged by every worker with its traceback."""

    error: BaseException
    traceback: str


@dataclass(frozen=True, slots=True)
class _Refused:
    """Of a worker that has other packages than its client, and so does no block."""

    worker: str
    differs: list[str]


class _WorkPlugin(WorkerPlugin):  # type: ignore[misc]
    """Keeps the work of all stages on a worker, those that join late and restart included."""

    def __init__(
        self, name: str, works: Mapping[str, Work], output: str, wanted: Mapping[str, str]
    ) -> None:
        self.name = name
        self.works = dict(works)
        self.output = output
        self.wanted = dict(wanted)
        self.differs: list[str] = []

    def setup(self, worker: Any) -> None:
        self.differs = differences(versions(), self.wanted)

    def teardown(self, worker: Any) -> None:
        # One that retires gives its blocks to others, who need no word of it.
        if worker.status != Status.running:
            return
        # A worker in threads of the process that was interrupted holds it up until they end.
        for work in self.works.values():
            if isinstance(work, Abandonable):
                work.abandon()
        # A worker in threads serves one run, which ends with it: whatever still keeps this plugin
        # does not keep the model too. A process that ends may yet pass its blocks to others.
        if worker.address.startswith("inproc://"):
            self.works = {}


class Runner:
    """Runs stages on a client; use it as a context manager, so that its workers are cleaned up.

    Parameters
    ----------
    client : distributed.Client
        Anyone's; it is left as it was found.
    stages : tuple of Stage
        All that will be run.
    output : str
        What the stages write. Workers that outlive a run may still be at a block of it: nothing
        begins, and with ``patient`` nothing ends, before they are done.
    patient : bool
        False where the workers end with the run.
    stop : threading.Event, optional
        Once it is set, no further block is handed out; workers finish what they have.
    """

    def __init__(
        self,
        client: Client,
        stages: tuple[Stage, ...],
        *,
        output: str = "",
        patient: bool = True,
        stop: threading.Event | None = None,
    ) -> None:
        self._client = client
        self._output = output
        self._patient = patient
        self._stop = stop or threading.Event()
        self._name = f"bigunet-{uuid.uuid4().hex[:12]}"
        self._works = {stage.name: stage.work for stage in stages}
        self._most, self._count_again, self._look_again = 0, 0.0, 0.0
        self._checked: set[str] = set()
        self._versions = versions()
        # Since when there has been no worker, and whether that was told.
        self._alone_since, self._alone_told = 0.0, False

    def __enter__(self) -> Runner:
        self._settle()
        plugin = _WorkPlugin(self._name, self._works, self._output, self._versions)
        self._client.register_plugin(plugin, name=self._name)
        return self

    def __exit__(self, *_: object) -> None:
        # The cluster may be gone, which is why we leave: nothing more to clean up then.
        with contextlib.suppress(Exception):
            if self._patient:
                self._settle()
            self._client.unregister_worker_plugin(self._name)

    def _settle(self) -> None:
        """Wait for blocks of the same output that workers still compute, for whatever run."""
        while self._output and any(
            self._client.run(_num_running, self._output, on_error="ignore").values()
        ):
            time.sleep(_POLL_SECONDS)

    def run(self, stage: Stage, ledger: Ledger) -> Iterator[Event]:
        """Run every block of a stage that the ledger does not have, recording each.

        Raises
        ------
        BlockError
            If a block fails, with its index; the cause is chained.
        ClusterError
            If blocks keep losing their workers, or a worker joins that has other packages.
        StoppedError
            If it was asked to stop before the end; the blocks at work were finished, unless no
            worker is left to finish them.
        """
        done = ledger.done(stage.name)
        # Those of this stage: others may have done blocks that are not its own.
        num_done = sum(stage.number(index) in done for index in stage.traversal()) if done else 0
        yield StageBegun(stage.name, num_done, stage.num_blocks)
        pending = (index for index in stage.traversal() if stage.number(index) not in done)
        running: dict[Future, Index] = {}
        completed = as_completed(loop=self._client.loop)
        try:
            self._refill(stage, pending, running, completed)
            while running:
                while not completed.has_ready():
                    yield from self._wait(completed, num_done, stage.num_blocks)
                future = next(completed)
                index = running.pop(future)
                result = self._result(stage, index, future)
                future.release()
                self._refill(stage, pending, running, completed)
                ledger.append(stage.name, stage.number(index), result)
                num_done += 1
                if num_done % _FORGET_EVERY == 0:
                    forget_done_tasks(self._client)
                yield BlockDone(stage.name, index, result, num_done, stage.num_blocks)
            if num_done < stage.num_blocks:
                raise _stopped(num_done, stage.num_blocks)
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel(list(running), force=True)

    def _wait(self, completed: as_completed, num_done: int, num_blocks: int) -> Iterator[Notice]:
        """Wait a moment for a block to be done, and see that there are workers to do it."""
        with completed.thread_condition:
            completed.thread_condition.wait(_POLL_SECONDS)
        now = time.monotonic()
        if completed.has_ready() or now < self._look_again:
            return
        self._look_again = now + _COUNT_SECONDS
        try:
            threads = self._client.nthreads()
        except OSError:
            # The scheduler is gone: its blocks soon are, too.
            return
        if threads:
            self._alone_since, self._alone_told = 0.0, False
            return
        if self._stop.is_set():
            raise _stopped(num_done, num_blocks)
        self._alone_since = self._alone_since or now
        if now - self._alone_since >= _ALONE_SECONDS and not self._alone_told:
            self._alone_told = True
            refusal = last_refusal(self._client)
            yield Notice(
                "no worker is left: waiting for one"
                + (f"; the batch system said: {refusal}" if refusal else "")
            )

    def _refill(
        self,
        stage: Stage,
        pending: Iterator[Index],
        running: dict[Future, Index],
        completed: as_completed,
    ) -> None:
        while not self._stop.is_set() and len(running) < self._window():
            index = next(pending, None)
            if index is None:
                return
            key = f"{stage.name}-{'.'.join(map(str, index))}-{self._name}"
            future = self._client.submit(
                _run_block, self._name, stage.name, index, key=key, pure=False
            )
            running[future] = index
            completed.add(future)

    def _window(self) -> int:
        """Most blocks to have with the workers; these are counted anew every second.

        Those that joined are seen to have what they need.
        """
        now = time.monotonic()
        if now >= self._count_again:
            threads = self._client.nthreads()
            if joined := threads.keys() - self._checked:
                check_environments(self._client, joined)
                self._checked |= joined
            self._most = max(2, BLOCKS_PER_THREAD * sum(threads.values()))
            self._count_again = now + _COUNT_SECONDS
        return self._most

    def _result(self, stage: Stage, index: Index, future: Future) -> Result:
        where = f"{stage.name} block {index}"
        try:
            outcome: Any = future.result()
        except KilledWorker as error:
            raise ClusterError(
                f"{where} lost its worker {error.allowed_failures + 1} times, most often for want "
                "of memory: try a smaller --block-shape"
            ) from error
        except Exception as error:
            # One that joined a moment ago may not know what it was sent.
            check_environments(self._client)
            raise ClusterError(f"{where} was lost with its workers: {error}") from error
        if isinstance(outcome, _Refused):
            # It joined since the others were seen to have what they need.
            check_environments(self._client)
            raise ClusterError(
                f"{where}: worker {outcome.worker} has {', '.join(outcome.differs)}: start workers "
                "from the environment of this command"
            )
        if isinstance(outcome, _Failure):
            told = str(outcome.error) or type(outcome.error).__name__
            if not isinstance(outcome.error, BigUNetError):
                told = f"{type(outcome.error).__name__}: {told}"
            failed = BlockError(f"{where}: {told}")
            failed.add_note(without_secrets(outcome.traceback))
            raise failed from outcome.error
        result: Result = outcome
        return result


def _stopped(num_done: int, num_blocks: int) -> StoppedError:
    return StoppedError(f"stopped as asked: {num_done} of {num_blocks} blocks are done")


def _run_block(plugin: str, stage: str, index: Index) -> Result | _Failure | _Refused:
    forget_split_names()
    worker = get_worker()
    found = worker.plugins.get(plugin)
    work = None if found is None else found.works.get(stage)
    if found is None or work is None:
        # Cancelled too late: the run has ended, and nobody waits for this block.
        return _Failure(ClusterError("its run has ended"), "")
    if found.differs:
        return _Refused(worker.address, found.differs)
    try:
        with _running(found.output):
            result: Result = work(index)
    except Exception as error:
        return _Failure(_portable(error), traceback.format_exc())
    return result


@contextlib.contextmanager
def _running(output: str) -> Iterator[None]:
    """Count a block of an output among those that this process is at."""
    with _LOCK:
        _BLOCKS_RUNNING[output] += 1
    try:
        yield
    finally:
        with _LOCK:
            _BLOCKS_RUNNING[output] -= 1


def _num_running(output: str) -> int:
    with _LOCK:
        return _BLOCKS_RUNNING[output]


def _portable(error: Exception) -> Exception:
    """The error, or one that says the same where it would be lost on its way to the client."""
    if isinstance(error, BigUNetError):
        # Without its cause, which may not travel, such as a server's answer, or hold a password.
        return type(error)(*error.args)
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
