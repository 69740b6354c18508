"""A case that bigunet refuses or warns of, and the line that it really prints."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import shlex
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from bigunet_cli.main import main

from bigunet.errors import BigUNetError


def _nothing() -> None:
    """Make no file, for commands that need none."""


@dataclass(frozen=True)
class Case:
    """What a user gives, and the line that bigunet prints.

    Parameters
    ----------
    brings : str
        What the user gives, in plain words; the heading on the page.
    command : str
        The words after ``bigunet``; empty if there is a script.
    script : str
        A Python program with a last line that is refused.
    says : str
        A regular expression that matches a part of the line.
    why : str
        Why it is refused.
    instead : str
        What to do.
    make : callable
        Makes what the user gives, in the folder in which the command runs.
    code : int
        The exit code; 0 for a warning.
    lines : callable, optional
        Returns the lines of the command if the command itself would take too long.
    """

    brings: str
    says: str
    why: str
    instead: str
    command: str = ""
    script: str = ""
    make: Callable[[], object] = _nothing
    code: int = 1
    lines: Callable[[], tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Outcome:
    """The exit code, and the errors and warnings on stderr."""

    code: int
    lines: tuple[str, ...]


@functools.cache
def outcome_of(case: Case) -> Outcome:
    """Run a case in a new folder; paths in its lines are shortened to names."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _as_it_was():
        case.make()
        outcome = _run(case)
        home = str(Path(folder).resolve())
        lines = (line.replace(f"{home}/", "").replace(home, ".") for line in outcome.lines)
        return Outcome(outcome.code, tuple(lines))


def _run(case: Case) -> Outcome:
    if case.lines is not None:
        return Outcome(case.code, case.lines())
    return _run_script(case.script) if case.script else _run_command(case.command)


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Restore the levels of loggers, which commands set, and the environment, which cases set."""
    loggers = [logging.getLogger(name) for name in ("bigunet", "distributed", "py.warnings")]
    levels = [logger.level for logger in loggers]
    with mock.patch.dict(os.environ):
        yield
    for logger, level in zip(loggers, levels):
        logger.setLevel(level)


def _run_command(words: str) -> Outcome:
    errors = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["bigunet", *shlex.split(words)]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    lines = errors.getvalue().splitlines()
    return Outcome(code, tuple(x for x in lines if x.startswith(("Error: ", "Warning: "))))


def _run_script(text: str) -> Outcome:
    """Run a program as Python does: as the main module, in its own file."""
    path = Path("script.py").resolve()
    path.write_text(text)
    program = types.ModuleType("__main__")
    program.__file__ = str(path)
    before, sys.modules["__main__"] = sys.modules["__main__"], program
    try:
        exec(compile(text, str(path), "exec"), vars(program))
    except BigUNetError as error:
        kind = type(error)
        return Outcome(1, (f"{kind.__module__}.{kind.__qualname__}: {error}",))
    finally:
        sys.modules["__main__"] = before
    return Outcome(0, ())
