"""Blocks as tasks of a Dask client: sends the work to the workers, submits blocks, reads results.

The work travels to each worker once, as a plugin. A task carries only a block's index.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable
from typing import Any

from distributed import Client, Future, KilledWorker

from bigunet.engine.clusters.environments import check_environments, versions
from bigunet.engine.on_worker import Failure, Refused, WorkPlugin, num_running, run_block
from bigunet.engine.stage import Index, Result, Stage
from bigunet.errors import BigUNetError, BlockError, ClusterError
from bigunet.urls import without_secrets

_POLL_SECONDS = 0.1
# A question to the scheduler takes as long as a block without work.
_COUNT_SECONDS = 1.0


class BlockTasks:
    """The blocks of some stages on a client; use it as a context manager, which cleans up.

    Parameters
    ----------
    client : distributed.Client
        Any client. It is left as it was.
    stages : tuple of Stage
    output : str
        Path or URL that the stages write. Workers of an earlier run may still compute a block of
        it: this is waited for at the beginning, and with ``patient`` at the end.
    patient : bool
        Whether to wait at the end; False if the workers end with the run.
    """

    def __init__(
        self,
        client: Client,
        stages: tuple[Stage, ...],
        *,
        output: str = "",
        patient: bool = True,
    ) -> None:
        self._client = client
        self._output = output
        self._patient = patient
        self._name = f"bigunet-{uuid.uuid4().hex[:12]}"
        self._works = {stage.name: stage.work for stage in stages}
        self._num_threads, self._count_again = 0, 0.0
        self._checked: set[str] = set()
        self._versions = versions()

    def __enter__(self) -> BlockTasks:
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

    def submit(self, stage: Stage, index: Index, *, attempt: int = 0) -> Future:
        """Send a block to the workers. A block that failed needs another number of the attempt."""
        # Under the key of a task that it still knows, Dask gives the result of that one.
        again = f"-{attempt}" if attempt else ""
        key = f"{stage.name}-{'.'.join(map(str, index))}-{self._name}{again}"
        return self._client.submit(run_block, self._name, stage.name, index, key=key, pure=False)

    def cancel(self, futures: Iterable[Future]) -> None:
        """Forget blocks that were submitted; workers may finish those at work."""
        with contextlib.suppress(Exception):
            self._client.cancel(list(futures), force=True)

    def num_threads(self) -> int:
        """Threads of all workers, which are counted every second.

        The packages of workers that have joined are checked.

        Raises
        ------
        ClusterError
            If a worker with other packages has joined.
        """
        now = time.monotonic()
        if now >= self._count_again:
            threads = self._client.nthreads()
            if joined := threads.keys() - self._checked:
                check_environments(self._client, joined)
                self._checked |= joined
            self._num_threads = sum(threads.values())
            self._count_again = now + _COUNT_SECONDS
        return self._num_threads

    def result(self, stage: Stage, index: Index, future: Future) -> Result:
        """The result of a block that is done.

        Raises
        ------
        BlockError
            If the block failed, with its index; the cause is chained.
        ClusterError
            If it was lost with its workers, or its worker has other packages.
        """
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
            raise _failed(where, outcome) from outcome.error
        result: Result = outcome
        return result


def _failed(where: str, failure: Failure) -> BlockError:
    reason = str(failure.error) or type(failure.error).__name__
    if not isinstance(failure.error, BigUNetError):
        reason = f"{type(failure.error).__name__}: {reason}"
    failed = BlockError(f"{where}: {reason}")
    failed.add_note(without_secrets(failure.traceback))
    return failed
