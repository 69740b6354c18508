"""Signals that come while processes are started wait until these are."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bigunet.machine.starting_signals import deaf_to_interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_handled_waits_for_the_processes(number: signal.Signals) -> None:
    told: list[int] = []
    before = signal.signal(number, lambda number, frame: told.append(number))
    try:
        with deaf_to_interrupts():
            os.kill(os.getpid(), number)
            assert not told
        # Another thread may be the one that gets it.
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        assert told == [number]
    finally:
        signal.signal(number, before)
