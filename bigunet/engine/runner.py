"""Runs any stage on a Dask client, with a bounded number of tasks at a time.

The work travels to each worker once, as a plugin. A task carries only a block's index.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from distributed import Client, Future, KilledWorker, as_completed

from bigunet.engine.clusters.environments import check_environments, versions
from bigunet.engine.clusters.submissions import last_refusal
from bigunet.engine.forget import forget_done_tasks
from bigunet.engine.ledger import Ledger
from bigunet.engine.on_worker import Failure, Refused, WorkPlugin, num_running, run_block
from bigunet.engine.stage import Index, Result, Stage
from bigunet.errors import BigUNetError, BlockError, ClusterError, StoppedError
from bigunet.events import BlockDone, Event, Notice, StageBegun
from bigunet.urls import without_secrets

# With two blocks per thread the next block is on the worker before the last one ends. With more,
# more blocks would be lost with a worker.
BLOCKS_PER_THREAD = 2
_POLL_SECONDS = 0.1
# A question to the scheduler takes as long as a block without work.
_COUNT_SECONDS = 1.0
# Lost workers are restarted. A notice says so only if none is back after this time.
_ALONE_SECONDS = 60.0
_FORGET_EVERY = 1000


class Runner:
    """Runs stages on a client; use it as a context manager, which cleans the workers up.

    Parameters
    ----------
    client : distributed.Client
        Any client. It is left as it was.
    stages : tuple of Stage
        All stages that will run.
    output : str
        Path or URL that the stages write. Workers of an earlier run may still compute a block of
        it: the runner waits for them before it begins, and with ``patient`` before it ends.
    patient : bool
        Whether to wait at the end; False if the workers end with the run.
    stop : threading.Event, optional
        When it is set, no further block is submitted. Workers finish the blocks that they have.
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
        # Since when there has been no worker, and whether a notice said so.
        self._alone_since, self._alone_noticed = 0.0, False

    def __enter__(self) -> Runner:
        self._settle()
        plugin = WorkPlugin(self._name, self._works, self._output, self._versions)
        self._client.register_plugin(plugin, name=self._name)
        return self

    def __exit__(self, *_: object) -> None:
        # If the cluster is gone, there is nothing to clean up.
        with contextlib.suppress(Exception):
            if self._patient:
                self._settle()
            self._client.unregister_worker_plugin(self._name)

    def _settle(self) -> None:
        """Wait until no worker computes a block of this output, for any run."""
        while self._output and any(
            self._client.run(num_running, self._output, on_error="ignore").values()
        ):
            time.sleep(_POLL_SECONDS)

    def run(self, stage: Stage, ledger: Ledger) -> Iterator[Event]:
        """Run every block of a stage that the ledger does not have, recording each.

        Raises
        ------
        BlockError
            If a block fails, with its index; the cause is chained.
        ClusterError
            If blocks keep losing their workers, or a worker with other packages joins.
        StoppedError
            If it was asked to stop before the end. The blocks at work were finished, unless no
            worker was left.
        """
        done = ledger.done(stage.name)
        # Only this stage's blocks count: other parts may have done blocks that it does not have.
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
        """Wait a moment for a block to be done, and check that there are workers."""
        with completed.thread_condition:
            completed.thread_condition.wait(_POLL_SECONDS)
        now = time.monotonic()
        if completed.has_ready() or now < self._look_again:
            return
        self._look_again = now + _COUNT_SECONDS
        try:
            threads = self._client.nthreads()
        except OSError:
            # The scheduler is gone, so its blocks will soon be lost, too.
            return
        if threads:
            self._alone_since, self._alone_noticed = 0.0, False
            return
        if self._stop.is_set():
            raise _stopped(num_done, num_blocks)
        self._alone_since = self._alone_since or now
        if now - self._alone_since >= _ALONE_SECONDS and not self._alone_noticed:
            self._alone_noticed = True
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
                run_block, self._name, stage.name, index, key=key, pure=False
            )
            running[future] = index
            completed.add(future)

    def _window(self) -> int:
        """The largest number of blocks to have on the workers, which are counted every second.

        The packages of workers that have joined are checked.
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
                f"{where} lost its worker {error.allowed_failures + 1} times, most often because "
                "memory is short: try a smaller --block-shape"
            ) from error
        except Exception as error:
            # A worker that has just joined may lack what it needs to read its task.
            check_environments(self._client)
            raise ClusterError(f"{where} was lost with its workers: {error}") from error
        if isinstance(outcome, Refused):
            # It joined after the last check.
            check_environments(self._client)
            raise ClusterError(
                f"{where}: worker {outcome.worker} has {', '.join(outcome.differs)}: start workers "
                "from the environment of this command"
            )
        if isinstance(outcome, Failure):
            reason = str(outcome.error) or type(outcome.error).__name__
            if not isinstance(outcome.error, BigUNetError):
                reason = f"{type(outcome.error).__name__}: {reason}"
            failed = BlockError(f"{where}: {reason}")
            failed.add_note(without_secrets(outcome.traceback))
            raise failed from outcome.error
        result: Result = outcome
        return result


def _stopped(num_done: int, num_blocks: int) -> StoppedError:
    return StoppedError(f"stopped as asked: {num_done} of {num_blocks} blocks are done")
