"""Runs single blocks of a stage when somebody asks for them; the latest request goes first.

A thread of its own hands blocks to the workers and writes the ledger, as a run does.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

from distributed import Client
from distributed import Future as Task

from bigunet.engine.block_tasks import BlockTasks
from bigunet.engine.ledger import Ledger
from bigunet.engine.stage import Index, Stage
from bigunet.engine.wishes import Wish, Wishes
from bigunet.errors import BigUNetError, StoppedError
from bigunet.events import BlockDone, Event, Notice

_END = object()


class OnDemand:
    """The blocks of a stage on request; use it as a context manager.

    Several threads may ask at the same time. Each block is computed once, however many ask for it,
    and none that the ledger calls done.

    Parameters
    ----------
    client : distributed.Client
    stage : Stage
    ledger : Ledger
        Records each finished block. Nobody else appends to it meanwhile.
    output : str
        As of `Runner`.
    patient : bool
        As of `Runner`.
    on_event : callable, optional
        Receives a BlockDone for each block, and a Notice for each that fails, in the thread that
        records them.
    """

    def __init__(
        self,
        client: Client,
        stage: Stage,
        ledger: Ledger,
        *,
        output: str = "",
        patient: bool = True,
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._stage, self._ledger, self._on_event = stage, ledger, on_event
        self._tasks = BlockTasks(client, (stage,), output=output, patient=patient)
        self._wishes = Wishes()
        self._done = set(ledger.done(stage.name))
        self._lock = threading.Lock()
        self._running: dict[Task, Index] = {}
        self._failures: Counter[Index] = Counter()
        self._inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._end: BigUNetError | None = None
        self._thread = threading.Thread(target=self._serve, name="bigunet-on-demand", daemon=True)

    def __enter__(self) -> OnDemand:
        self._tasks.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End: finished blocks are recorded, those at work are given up."""
        self._inbox.put(_END)
        self._thread.join()
        self._tasks.__exit__()

    @property
    def num_done(self) -> int:
        """Number of blocks that are done, those of earlier runs included."""
        return len(self._done)

    @property
    def failure(self) -> BigUNetError | None:
        """Why no further block is computed; None while all is well."""
        return self._end

    def ask(self, index: Index) -> Wish:
        """Ask for a block. It goes before all blocks that were asked for earlier.

        Returns
        -------
        Wish
            Its future is done when the block is; it has the error if the block failed, or
            StoppedError if it was not done when this ended.
        """
        with self._lock:
            wish = Wish(index, Future())
            if self._end is not None:
                wish.future.set_exception(self._end)
            elif self._stage.number(index) in self._done:
                wish.future.set_result(None)
            else:
                self._wishes.add(wish)
                self._inbox.put(None)
            return wish

    def drop(self, wish: Wish) -> None:
        """Take a request back. Nobody computes its block any more, unless it has begun."""
        with self._lock:
            self._wishes.drop(wish)

    def _serve(self) -> None:
        end: BigUNetError = StoppedError("it was closed before this block was done")
        try:
            while (item := self._inbox.get()) is not _END:
                if isinstance(item, Task):
                    self._take(item)
                self._refill()
        except BigUNetError as error:
            end = error
        finally:
            self._finish(end)

    def _refill(self) -> None:
        """Give blocks to the workers, one to a thread, so that a later request goes first."""
        most = max(1, self._tasks.num_threads())
        while len(self._running) < most:
            with self._lock:
                index = self._wishes.take()
            if index is None:
                return
            task = self._tasks.submit(self._stage, index, attempt=self._failures[index])
            self._running[task] = index
            task.add_done_callback(self._inbox.put)

    def _take(self, task: Task) -> None:
        """Record a block that has come back, and tell all who asked for it."""
        index = self._running.pop(task)
        try:
            result = self._tasks.result(self._stage, index, task)
        except BigUNetError as error:
            self._failures[index] += 1
            self._on_event(Notice(str(error)))
            self._answer(index, error)
            return
        finally:
            task.release()
        number = self._stage.number(index)
        self._ledger.append(self._stage.name, number, result)
        num_done = self.num_done + 1
        self._on_event(BlockDone(self._stage.name, index, result, num_done, self._stage.num_blocks))
        # Only now does it count as done: whoever asks next relies on what heard of it.
        with self._lock:
            self._done.add(number)
        self._answer(index, None)

    def _answer(self, index: Index, error: BigUNetError | None) -> None:
        with self._lock:
            wishes = self._wishes.end(index)
        for wish in wishes:
            _settle(wish.future, error)

    def _finish(self, error: BigUNetError) -> None:
        with self._lock:
            self._end = error
            wishes = self._wishes.end_all()
        self._tasks.cancel(self._running)
        for wish in wishes:
            _settle(wish.future, error)


def _settle(future: Future[None], error: BigUNetError | None) -> None:
    try:
        future.set_result(None) if error is None else future.set_exception(error)
    except InvalidStateError:
        # Whoever waited has cancelled it.
        return
