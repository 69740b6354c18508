"""Signals that stop a command: Ctrl-C, SIGTERM, SIGHUP and SIGUSR1; imports nothing heavy."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType

# Windows has only some of them.
_HANGUP, _ASK = (getattr(signal, name, None) for name in ("SIGHUP", "SIGUSR1"))


@dataclass(slots=True)
class Stop:
    """Why a command stops before its end."""

    signal: int = signal.SIGINT
    terminated: bool = False

    @property
    def exit_code(self) -> int:
        return 128 + self.signal

    @property
    def word(self) -> str:
        return "Interrupted" if self.signal == signal.SIGINT else "Terminated"


@contextmanager
def signals_as_interrupts() -> Iterator[Stop]:
    """Let SIGTERM and SIGHUP stop a command as Ctrl-C does; yields which signal it was.

    Only the first of them does. Programs such as ``timeout`` send SIGTERM twice, and the second one
    would interrupt the clean-up.
    """
    stop = Stop()

    def end(number: int, frame: FrameType | None) -> None:
        if stop.terminated:
            return
        stop.signal, stop.terminated = number, True
        raise KeyboardInterrupt

    with (
        _handled(signal.SIGTERM, end, instead_of=signal.SIG_DFL),
        # Where it is ignored, as nohup does, it stays ignored.
        _handled(_HANGUP, end, instead_of=signal.SIG_DFL),
    ):
        yield stop


@contextmanager
def asked_to_end() -> Iterator[threading.Event]:
    """An event that SIGUSR1 sets; batch systems send it some time before they kill a job."""
    event = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        # A second signal while the first is handled would wait for itself.
        signal.signal(number, signal.SIG_IGN)
        event.set()

    with _handled(_ASK, ask, instead_of=signal.SIG_DFL):
        yield event


@contextmanager
def while_starting() -> Iterator[None]:
    """Leave at once and without a traceback if a signal comes in the middle of imports."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.stderr.write(f"{Stop(number).word}.\n")
        sys.stderr.flush()
        # Some libraries take an exception during their import for a failure of theirs.
        os._exit(128 + number)

    with ExitStack() as handled:
        handled.enter_context(_handled(signal.SIGINT, leave, instead_of=signal.default_int_handler))
        for number in (signal.SIGTERM, _HANGUP):
            # Without `signals_as_interrupts`, they end the process at once anyway.
            if number is not None and callable(before := signal.getsignal(number)):
                handled.enter_context(_handled(number, leave, instead_of=before))
        yield


@contextmanager
def _handled(
    number: int | None, handler: Callable[[int, FrameType | None], None], *, instead_of: object
) -> Iterator[None]:
    """Handle a signal for a while, unless the system lacks it, or it is ignored or handled."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if number is None or not in_main_thread or signal.getsignal(number) is not instead_of:
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
