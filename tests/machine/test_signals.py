"""A signal that comes while processes are started is handled after their start."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bigunet.machine.signals import interrupts_postponed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_handler_runs_after_the_processes_are_started(number: signal.Signals) -> None:
    received: list[int] = []
    before = signal.signal(number, lambda number, frame: received.append(number))
    try:
        with interrupts_postponed():
            os.kill(os.getpid(), number)
            assert not received
        # Another thread may get the signal, which takes a moment.
        deadline = time.monotonic() + 10
        while not received and time.monotonic() < deadline:
            time.sleep(0.01)
        assert received == [number]
    finally:
        signal.signal(number, before)
