"""Runs any stage on a Dask client, with a bounded number of tasks at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from distributed import Client, Future, as_completed

from bigunet.engine.block_tasks import BlockTasks
from bigunet.engine.clusters.submissions import last_refusal
from bigunet.engine.forget import forget_done_tasks
from bigunet.engine.ledger import Ledger
from bigunet.engine.stage import Index, Stage
from bigunet.errors import StoppedError
from bigunet.events import BlockDone, Event, Notice, StageBegun

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
        self._tasks = BlockTasks(client, stages, output=output, patient=patient)
        self._stop = stop or threading.Event()
        self._look_again = 0.0
        # Since when there has been no worker, and whether a notice said so.
        self._alone_since, self._alone_noticed = 0.0, False

    def __enter__(self) -> Runner:
        self._tasks.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._tasks.__exit__()

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
                result = self._tasks.result(stage, index, future)
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
            self._tasks.cancel(running)

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
            future = self._tasks.submit(stage, index)
            running[future] = index
            completed.add(future)

    def _window(self) -> int:
        """The largest number of blocks to have on the workers."""
        return max(2, BLOCKS_PER_THREAD * self._tasks.num_threads())


def _stopped(num_done: int, num_blocks: int) -> StoppedError:
    return StoppedError(f"stopped as asked: {num_done} of {num_blocks} blocks are done")
