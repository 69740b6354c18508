"""Runs any stage on a Dask client, through a bounded window of coordinate-only tasks.

The work itself travels to each worker once, as a plugin; a task carries the block's index.
"""

from __future__ import annotations

import contextlib
import traceback
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future, KilledWorker, WorkerPlugin, as_completed, get_worker
from distributed.protocol import pickle

from bigunet.engine.ledger import Ledger
from bigunet.engine.stage import BlockDone, Event, Index, Result, Stage, StageBegun, Work
from bigunet.errors import BigUNetError, BlockError, ClusterError

# Two blocks per thread: the next is on the worker before the last has ended, and no more are
# bound to a worker that may be lost.
BLOCKS_PER_THREAD = 2


@dataclass(frozen=True, slots=True)
class _Failure:
    """An exception as a value: raised, it would be logged by every worker with its traceback."""

    error: BaseException
    traceback: str


class _WorkPlugin(WorkerPlugin):  # type: ignore[misc]
    """Keeps the work of all stages on a worker, those that join late and restart included."""

    def __init__(self, name: str, works: Mapping[str, Work]) -> None:
        self.name = name
        self.works = dict(works)


class Runner:
    """Runs stages on a client; use it as a context manager, so that its workers are cleaned up.

    Parameters
    ----------
    client : distributed.Client
        Anyone's; it is left as it was found.
    stages : tuple of Stage
        All that will be run.
    """

    def __init__(self, client: Client, stages: tuple[Stage, ...]) -> None:
        self._client = client
        self._name = f"bigunet-{uuid.uuid4().hex[:12]}"
        self._works = {stage.name: stage.work for stage in stages}

    def __enter__(self) -> Runner:
        self._client.register_plugin(_WorkPlugin(self._name, self._works), name=self._name)
        return self

    def __exit__(self, *_: object) -> None:
        # The cluster may be gone, which is why we leave: nothing more to clean up then.
        with contextlib.suppress(Exception):
            self._client.unregister_worker_plugin(self._name)

    def run(self, stage: Stage, ledger: Ledger) -> Iterator[Event]:
        """Run every block of a stage that the ledger does not have, recording each.

        Raises
        ------
        BlockError
            If a block fails, with its index; the cause is chained.
        ClusterError
            If blocks keep losing their workers.
        """
        done = ledger.done(stage.name)
        yield StageBegun(stage.name, len(done), stage.num_blocks)
        pending = (index for index in stage.traversal() if stage.number(index) not in done)
        running: dict[Future, Index] = {}
        completed = as_completed(loop=self._client.loop)
        try:
            self._refill(stage, pending, running, completed)
            while running:
                future = next(completed)
                index = running.pop(future)
                result = self._result(stage, index, future)
                future.release()
                self._refill(stage, pending, running, completed)
                ledger.append(stage.name, stage.number(index), result)
                yield BlockDone(stage.name, index, result, len(done), stage.num_blocks)
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel(list(running), force=True)

    def _refill(
        self,
        stage: Stage,
        pending: Iterator[Index],
        running: dict[Future, Index],
        completed: as_completed,
    ) -> None:
        while len(running) < self._window():
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
        threads: int = sum(self._client.nthreads().values())
        return max(2, BLOCKS_PER_THREAD * threads)

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
            raise ClusterError(f"{where} was lost with its workers: {error}") from error
        if isinstance(outcome, _Failure):
            told = str(outcome.error) or type(outcome.error).__name__
            if not isinstance(outcome.error, BigUNetError):
                told = f"{type(outcome.error).__name__}: {told}"
            failed = BlockError(f"{where}: {told}")
            failed.add_note(outcome.traceback)
            raise failed from outcome.error
        result: Result = outcome
        return result


def _run_block(plugin: str, stage: str, index: Index) -> Result | _Failure:
    found = get_worker().plugins.get(plugin)
    if found is None:
        # Cancelled too late: the run has ended, and nobody waits for this block.
        return _Failure(ClusterError("its run has ended"), "")
    try:
        result: Result = found.works[stage](index)
    except Exception as error:
        return _Failure(_portable(error), traceback.format_exc())
    return result


def _portable(error: Exception) -> Exception:
    """The error, or one that says the same where it would be lost on its way to the client."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
