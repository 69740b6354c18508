"""The workers of a run: opens those of a client or of a cluster, and knows how long they stay."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from distributed import Client

from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import OptionError
from bigunet.events import Notice, OnEvent
from bigunet.segmentation.plan.worker_choice import WorkerChoice
from bigunet.segmentation.run.device import torch_as_before


def open_workers(
    choice: WorkerChoice,
    on_event: OnEvent | None = None,
    stop: threading.Event | None = None,
) -> contextlib.AbstractContextManager[Client]:
    """A client of the workers. The caller's own client stays open, another one is closed.

    Parameters
    ----------
    choice : Client, ClusterSpec or None
        None is one worker on this machine.
    on_event : callable, optional
        Receives notices while the workers start.
    stop : threading.Event, optional
        Ends the wait for workers once it is set.

    Raises
    ------
    OptionError
        If ``choice`` is something else.
    """
    if isinstance(choice, Client):
        return contextlib.nullcontext(choice)
    if choice is not None and not isinstance(choice, ClusterSpec):
        raise OptionError(f"client is {choice!r}: give a distributed.Client or a ClusterSpec")
    notify = None if on_event is None else lambda line: on_event(Notice(line))
    spec = choice or ClusterSpec()
    opened = open_client(spec, notify, stop)
    return _in_this_process(opened) if spec.kind == "threads" else opened


def outlive_run(choice: WorkerChoice) -> bool:
    """Whether the workers stay when the run has ended."""
    return isinstance(choice, Client) or (choice is not None and choice.scheduler is not None)


@contextlib.contextmanager
def _in_this_process(opened: contextlib.AbstractContextManager[Client]) -> Iterator[Client]:
    with torch_as_before(), opened as client:
        yield client
