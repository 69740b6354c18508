"""What runs on a worker: the plugin that keeps the work there, and the task of one block."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distributed import WorkerPlugin, get_worker
from distributed.core import Status
from distributed.protocol import pickle

from bigunet.engine.clusters.environments import differences, versions
from bigunet.engine.forget import forget_split_names
from bigunet.engine.stage import Abandonable, Index, Result, Work
from bigunet.engine.work_times import timed
from bigunet.errors import BigUNetError, ClusterError

_BLOCKS_RUNNING: Counter[str] = Counter()
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as a value: if it were raised, every worker would log its traceback."""

    error: BaseException
    traceback: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer of a worker that does no block, because its packages are not the client's."""

    worker: str
    differs: list[str]


class WorkPlugin(WorkerPlugin):  # type: ignore[misc]
    """Keeps the work of all stages on each worker, also on those that join late or restart."""

    def __init__(
        self, name: str, works: Mapping[str, Work], output: str, packages: Mapping[str, str]
    ) -> None:
        self.name = name
        self.works = dict(works)
        self.output = output
        self.packages = dict(packages)
        self.differs: list[str] = []

    def setup(self, worker: Any) -> None:
        self.differs = differences(versions(), self.packages)

    def teardown(self, worker: Any) -> None:
        # A worker that retires gives its blocks to others.
        if worker.status != Status.running:
            return
        # An interrupted process cannot end before the blocks of a worker in its own threads.
        for work in self.works.values():
            if isinstance(work, Abandonable):
                work.abandon()
        # A worker in threads serves one run and ends with it. Something may still hold this plugin,
        # but must not hold the model. A worker process may still give its blocks to others.
        if worker.address.startswith("inproc://"):
            self.works = {}


def run_block(plugin: str, stage: str, index: Index) -> Result | Failure | Refused:
    """Do one block of a stage, with the work that the plugin of this name keeps on the worker."""
    forget_split_names()
    worker = get_worker()
    known = worker.plugins.get(plugin)
    work = None if known is None else known.works.get(stage)
    if known is None or work is None:
        # The task was cancelled too late: the run has ended, and needs no result.
        return Failure(ClusterError("its run has ended"), "")
    if known.differs:
        return Refused(worker.address, known.differs)
    try:
        with _running(known.output), timed(worker.address) as measured:
            result: Result = work(index)
    except Exception as error:
        return Failure(_portable(error), traceback.format_exc())
    return {**result, **measured}


@contextlib.contextmanager
def _running(output: str) -> Iterator[None]:
    """Count a block of an output as running in this process."""
    with _LOCK:
        _BLOCKS_RUNNING[output] += 1
    try:
        yield
    finally:
        with _LOCK:
            _BLOCKS_RUNNING[output] -= 1


def num_running(output: str) -> int:
    """Number of blocks of an output that this process computes at this moment, for any run."""
    with _LOCK:
        return _BLOCKS_RUNNING[output]


def _portable(error: Exception) -> Exception:
    """The error, or one that says the same if this one cannot travel to the client."""
    if isinstance(error, BigUNetError):
        # Its cause stays here: it may hold a password, or an object that cannot be pickled.
        return type(error)(*error.args)
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
