"""Run one command of bigunet, and write when each phase of its start began and how long it took.

    python benchmarks/startup_phases.py phases.json segment image.zarr out.zarr --cluster threads

``startup.py`` runs it. Times are seconds since the process began. A phase within another one counts
in both. Blocks that other processes do are not seen.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from bigunet_cli import loading as loadings
from bigunet_cli.main import main

# Name of the phase, module, and function; only modules that the command imports are looked at.
_PHASES = (
    ("open image and model", "bigunet.segmentation.segment", "resolve_request"),
    ("plan", "bigunet.segmentation.segment", "plan_run"),
    ("begin the record", "bigunet.segmentation.segment", "open_record"),
    ("start workers", "bigunet.engine.clusters.client", "_cluster"),
    ("prepare the network", "bigunet.model.inference.forward", "Predictor.__init__"),
    ("a tile", "bigunet.model.inference.forward", "Predictor.begin"),
    ("a block", "bigunet.segmentation.run.block", "SegmentWork.__call__"),
    ("number objects", "bigunet.segmentation.run.run", "write_ids"),
    ("table of objects", "bigunet.segmentation.run.run", "write_object_table"),
    ("all blocks and objects", "bigunet.segmentation.run.run", "Run.write_all"),
    ("end workers", "bigunet.engine.clusters.client", "close_cluster"),
    ("page of the report", "bigunet.segmentation.segment", "_with_page"),
    ("measure tiles for the forecast", "bigunet_cli.plan", "forecast"),
)


class Phases:
    """The phases of this process: name, begin, seconds, and seconds of all cores."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        # The wall clock said then what this one says now.
        self._offset = time.time() - psutil.Process().create_time() - time.perf_counter()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.done.append(
                {
                    "name": name,
                    "begin": round(begun + self._offset, 3),
                    "seconds": round(time.perf_counter() - begun, 3),
                    "cpu_seconds": round(time.process_time() - cpu, 3),
                }
            )

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as a phase."""

        @functools.wraps(function)
        def run(*given: Any, **named: Any) -> Any:
            with self.phase(name):
                return function(*given, **named)

        return run

    def watch(self) -> None:
        """Watch the functions of the modules that are imported."""
        for name, module, path in _PHASES:
            if module in sys.modules:
                *owners, last = path.split(".")
                owner = functools.reduce(getattr, owners, sys.modules[module])
                if hasattr(owner, last):
                    setattr(owner, last, self.watched(name, getattr(owner, last)))


def run(target: Path, words: list[str]) -> None:
    """Run the command of the words; its phases go into the target, and Python ends."""
    phases = Phases()
    importing = loadings.loading

    @contextlib.contextmanager
    def loading(**named: Any) -> Iterator[None]:
        with phases.phase("import"), importing(**named):
            yield
        phases.watch()

    loadings.loading = loading
    importlib.import_module(f"bigunet_cli.{words[0]}")
    sys.argv = ["bigunet", *words]
    try:
        with phases.phase("command"):
            main()
    finally:
        target.write_text(json.dumps(phases.done), "utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
