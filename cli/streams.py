"""The standard streams: a stream that is closed, or that nobody reads any more, ends no command."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

from bigunet.errors import OutputError

_INPUT, _OUTPUT, _ERRORS = 0, 1, 2


def keep_streams_open() -> None:
    """Make stdin, stdout and stderr usable, whatever this process was started with.

    A closed stream (``2>&-``) becomes /dev/null: else the next file that is opened takes its
    number, and libraries write their messages into that file. Text for a pipe that nobody reads
    (``| head -1``) is lost without a message, and so is text that stderr cannot take.
    """
    for number in (_INPUT, _OUTPUT, _ERRORS):
        with contextlib.suppress(OSError):
            _open_if_closed(number)
    sys.stdin = sys.stdin or open(_INPUT, closefd=False)  # noqa: SIM115
    # In a notebook or a test, other objects stand in for the streams of the process.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _patient(sys.stdout, _OUTPUT)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _patient(sys.stderr, _ERRORS)


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        _to_null(number)


def _to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)


def _patient(stream: TextIO | None, number: int) -> TextIO:
    """The same stream, without errors when its reader has gone."""
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.flush()
    raw = _Patient(number, "w", closefd=False)
    line_buffering = number == _ERRORS or os.isatty(number)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors=getattr(stream, "errors", None) or "backslashreplace",
        line_buffering=line_buffering,
        write_through=False,
    )


class _Patient(io.FileIO):
    """A stream of this process that leads to /dev/null once it has no reader."""

    def write(self, content: object) -> int:
        try:
            return super().write(content)  # type: ignore[arg-type]
        except OSError as error:
            # Else Python would try again, and fail again, as it ends.
            with contextlib.suppress(OSError):
                _to_null(self.fileno())
            # A result that a full disk does not take is an error; a lost message is none.
            if not isinstance(error, BrokenPipeError) and self.fileno() == _OUTPUT:
                raise OutputError(f"cannot write to stdout: {error.strerror}") from error
            return len(memoryview(content).cast("B"))  # type: ignore[arg-type]
