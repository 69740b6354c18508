"""Signals that stop a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from bigunet_cli.stopping import signals_as_interrupts


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Whatever this process was started with, nohup included."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_that_end_a_command_do_so_as_ctrl_c_does(number: int, code: int) -> None:
    with signals_as_interrupts() as stop:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        assert (stop.exit_code, stop.word, stop.terminated) == (code, "Terminated", True)
    assert signal.getsignal(number) is signal.SIG_DFL


def _stopped_twice(done: list[str]) -> None:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        done.append("clean-up")


def test_a_second_signal_does_not_interrupt_the_clean_up() -> None:
    done: list[str] = []
    with signals_as_interrupts() as stop, pytest.raises(KeyboardInterrupt):
        _stopped_twice(done)
    assert done == ["clean-up"]
    assert stop.exit_code == 143


def test_a_terminal_that_nohup_lets_end_stops_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals_as_interrupts() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.terminated
