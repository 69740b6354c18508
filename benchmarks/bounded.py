"""Run measurements one after the other in a process of their own, each within a limit of time.

A measurement that fails, or takes too long, is noted, and the next one begins in a new process. The
results are handed over after each, so that an end of the machine loses one measurement at most.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_START_SECONDS = 60  # to import torch and start CUDA, on a slow disk
Task = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Measurement:
    """One thing to measure.

    Parameters
    ----------
    name : str
        What the results call it.
    task : str
        The name of the function that measures, in the tasks that :func:`serve` got.
    arguments : dict of str to JSON values
        Its keywords.
    limit_seconds : float
        After this time it is stopped.
    """

    name: str
    task: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    limit_seconds: float = 60


def run_all(
    measurements: Iterable[Measurement],
    script: Path,
    *,
    seconds: float,
    record: Callable[[list[dict[str, Any]]], None],
    log: Path,
) -> list[dict[str, Any]]:
    """The results of all measurements, in order.

    Parameters
    ----------
    script : Path
        A script that calls :func:`serve`.
    seconds : float
        The time for all together; measurements that do not fit it any more are noted.
    record : callable
        Gets all results so far after each measurement.
    log : Path
        What the measurements print goes into this file.
    """
    results: list[dict[str, Any]] = []
    ended, child = time.monotonic() + seconds, None
    with log.open("ab") as lines:
        for one in measurements:
            left = ended - time.monotonic()
            begun = time.monotonic()
            if left <= 1:
                outcome: dict[str, Any] = {"failed": "no time was left"}
            else:
                try:
                    if child is None:
                        child = _Child(script, lines, min(left, _START_SECONDS))
                    outcome = child.measure(one, min(one.limit_seconds, ended - time.monotonic()))
                except _ChildError as error:
                    outcome = {"failed": str(error)}
            if "failed" in outcome and child is not None:
                # After an error of CUDA, no further call of that process works.
                child.stop()
                child = None
            taken = round(time.monotonic() - begun, 2)
            results.append({"name": one.name, "task": one.task, "took_seconds": taken, **outcome})
            record(results)
        if child is not None:
            child.stop()
    return results


class _ChildError(Exception):
    pass


class _Child:
    """The process that measures; it ends with all processes that it started."""

    def __init__(self, script: Path, log: IO[bytes], seconds: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self._answer(seconds)
        except _ChildError:
            self.stop()
            raise

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def measure(self, one: Measurement, seconds: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            request = {"task": one.task, "arguments": dict(one.arguments)}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise _ChildError("the process ended before it began") from error
        return self._answer(seconds)

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise _ChildError(f"stopped after {seconds:.3g} s") from None
        if not line:
            raise _ChildError(f"the process ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def serve(tasks: Mapping[str, Task]) -> None:
    """Do the measurements that arrive on stdin, in the child's process."""
    answers = os.fdopen(os.dup(1), "w")
    # What libraries print must not mix with the answers.
    os.dup2(2, 1)
    _tell(answers, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            outcome = dict(tasks[request["task"]](**request["arguments"]))
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            outcome = {"failed": text[:300]}
            print(request, text, file=sys.stderr, flush=True)
        _tell(answers, outcome)


def _tell(answers: IO[str], outcome: Mapping[str, Any]) -> None:
    answers.write(json.dumps(outcome) + "\n")
    answers.flush()
