"""Laws of changes of this process that overlapping runs share."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterator

import dask
import pytest
import torch
from distributed import Client

from bigunet.engine.clusters.client import open_client
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.machine.overlaps import Overlapping
from bigunet.segmentation.run.device import torch_as_before


@pytest.mark.parametrize("ends", list(itertools.permutations(range(3))))
def test_the_state_is_back_once_the_last_run_has_ended(ends: tuple[int, ...]) -> None:
    state = ["callers"]

    @contextlib.contextmanager
    def change() -> Iterator[None]:
        before = state[0]
        state[0] = f"changed from {before}"
        yield
        state[0] = before

    overlapping = Overlapping(change)
    for _ in range(2):
        runs = [contextlib.ExitStack() for _ in ends]
        for run in runs:
            run.enter_context(overlapping())
        for end in ends:
            assert state == ["changed from callers"]
            runs[end].close()
        assert state == ["callers"]


def test_a_change_that_fails_leaves_nothing_behind() -> None:
    fails = iter([True, False])

    @contextlib.contextmanager
    def change() -> Iterator[None]:
        if next(fails):
            raise OSError("no change")
        yield

    overlapping = Overlapping(change)
    with pytest.raises(OSError, match="no change"), overlapping():
        pass
    with overlapping():
        pass
    assert not list(fails)


def test_clusters_in_threads_that_overlap_leave_logs_and_settings_alone() -> None:
    def state() -> tuple[object, ...]:
        logger = logging.getLogger("distributed")
        levels = [logger.level, *(handler.level for handler in logger.handlers)]
        return levels, dask.config.get("distributed.admin.tick.interval")

    before = state()
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    for run in (first, second):
        client: Client = run.enter_context(open_client(ClusterSpec("threads")))
    first.close()
    assert logging.getLogger("distributed").level == logging.CRITICAL
    assert client.submit(len, "abc").result() == 3
    second.close()
    assert state() == before


def test_runs_that_overlap_leave_torch_as_the_caller_has_it() -> None:
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(torch_as_before())
    torch.set_num_threads(threads + 1)
    torch.backends.cudnn.deterministic = not deterministic
    second.enter_context(torch_as_before())
    first.close()
    second.close()
    assert torch.get_num_threads() == threads
    assert torch.backends.cudnn.deterministic == deterministic
