"""Time how long commands take that have little to do: the start of bigunet, and its split.

    python benchmarks/startup.py [--side 512] [--repeats 3] [--cold] [--demo]

Each command runs in a process of its own, several times; the fastest one counts. The script prints
JSON: seconds, and seconds of all cores (``cpu_seconds``), of the command and the processes that it
starts; the phases of a segmentation in threads; and the time that importing each package takes in
it. ``--cold`` drops the files of this Python environment from the system's cache before each
command, as after the start of a machine (Linux). The times of imports include what
``-X importtime`` itself takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import startup_phases
from processor import cpu_model

from bigunet.bundled.mosaic import bundled_fields, mosaic
from bigunet.demo import write_image

_BIGUNET = [sys.executable, "-m", "bigunet_cli.main"]
_MOST_PACKAGES = 12


def commands(image: Path, out: Path, *, demo: bool) -> dict[str, list[str]]:
    """Words of each command by its name."""
    segment = ["segment", str(image), str(out), "--overwrite", "--quiet"]
    found = {
        "--help": ["--help"],
        "info": ["info", str(image)],
        "plan": ["plan", str(image)],
        "segment": segment,
        "segment --cluster local": [*segment, "--cluster", "local"],
    }
    return found | ({"demo": ["demo", str(out.with_name("demo"))]} if demo else {})


def measure(side: int, *, repeats: int, cold: bool, demo: bool) -> dict[str, Any]:
    """Time all commands on an image of nuclei with so many voxels on each side."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_image(folder / "in.zarr", mosaic(bundled_fields(), (side, side)))
        words = commands(folder / "in.zarr", folder / "out.zarr", demo=demo)
        times = {
            name: min(
                (timed([*_BIGUNET, *of], cold=cold) for _ in range(repeats)),
                key=lambda one: one["seconds"],
            )
            for name, of in words.items()
        }
        in_threads = [*words["segment"], "--cluster", "threads"]
        return {
            "cpu": cpu_model(),
            "image": [side, side],
            "cold": cold,
            "commands": times,
            "phases": phases_of(in_threads, folder / "phases.json", cold=cold),
            "imports": imports_of(in_threads),
        }


def timed(command: list[str], *, cold: bool) -> dict[str, float]:
    """Seconds of a command, and seconds that its processes computed."""
    if cold:
        drop_cached_files()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}


def phases_of(words: list[str], target: Path, *, cold: bool) -> list[dict[str, Any]]:
    """The phases of a command in the order of their beginnings."""
    timed([sys.executable, startup_phases.__file__, str(target), *words], cold=cold)
    phases = json.loads(target.read_text("utf-8"))
    return sorted(phases, key=lambda phase: (phase["begin"], -phase["seconds"]))


def imports_of(words: list[str]) -> dict[str, float]:
    """Seconds in which a command imports each package; the packages that take longest."""
    command = [sys.executable, "-X", "importtime", *_BIGUNET[1:], *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        label, _, columns = line.partition("import time:")
        own, *_, module = columns.split("|") if columns else ("", "")
        if not label and own.strip().isdecimal():
            seconds[module.strip().split(".")[0]] += int(own) / 1e6
    return {name: round(spent, 3) for name, spent in seconds.most_common(_MOST_PACKAGES)}


def drop_cached_files() -> None:
    """Let the system forget the files of this environment that no other process uses."""
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")}:
        for path in Path(folder).rglob("*"):
            if path.is_file():
                file = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--demo", action="store_true", help="time the demo, too")
    given = parser.parse_args()
    figures = measure(given.side, repeats=given.repeats, cold=given.cold, demo=given.demo)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
