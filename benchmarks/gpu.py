"""Measure one GPU within ten minutes: its limits, ways of the forward pass, bigunet and others.

    python benchmarks/gpu.py FOLDER [--out benchmarks/results] [--minutes 9.5]
        [--python .venv-peers/bin/python] [--device cpu --small]

FOLDER takes 2 GB of images and outputs. Results go to ``gpu.json``, ``gpu.md`` and ``gpu.png`` in a
folder of ``--out`` that has the name of the GPU; they are written after each measurement. A
measurement that fails or takes too long is noted, and the others go on. Nothing is downloaded:
programs that are not installed (MONAI, torch-em, TensorRT) are noted, too.

The ways of the forward pass are those of ``forward_ways.py``. The page says which one is fastest,
and which option of bigunet takes it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bounded import Measurement, run_all
from forward_ways import SLOW, WAYS
from gpu_page import plot, write_page
from processor import device_name, folder_name, precisions

PEERS = ("naive", "window", "monai-window", "torch-em")


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Parameters
    ----------
    loads : tuple of (str, int)
        Loads for the forward pass, with the voxels per axis that a tile keeps.
    workers : tuple of (int, int)
        Numbers of workers, and of threads of each, for bigunet end to end.
    whole, block : (str, int)
        The load for these runs, and the voxels per axis of their blocks.
    parts : tuple of (str, int, int)
        Loads on which programs are compared, with their tiles and windows.
    most, matrix_seconds, megabytes
        As for ``limit.py``.
    """

    loads: tuple[tuple[str, int], ...]
    workers: tuple[tuple[int, int], ...]
    whole: tuple[str, int]
    parts: tuple[tuple[str, int, int], ...]
    most: int | None
    matrix_seconds: float
    megabytes: int


FULL = Sizes(
    loads=(("paper", 1924), ("volume", 188)),
    # A worker holds three blocks at most; more of them share the GPU.
    workers=((1, 1), (1, 2), (1, 4), (1, 16), (4, 4)),
    whole=("narrow", 2048),
    parts=(("narrow", 1024, 512), ("volume-part", 128, 128)),
    most=None,
    matrix_seconds=3,
    megabytes=1000,
)
SMALL = Sizes(
    loads=(("tiny", 64), ("tiny-volume", 16)),
    workers=((1, 2),),
    whole=("tiny", 256),
    parts=(("tiny", 64, 64),),
    most=128,
    matrix_seconds=0.1,
    megabytes=1,
)


def measurements(
    sizes: Sizes, folder: Path, device: str, python: str, ways: list[str], peers: list[str]
) -> Iterator[Measurement]:
    """All measurements, the most telling ones first; the slow compilers come last."""
    there: dict[str, Any] = {"device": device}
    native = precisions(device)
    lower = next((p for p in ("bf16", "fp16") if p in native), "fp32")
    for precision in native:
        arguments = {"precision": precision, "most": sizes.most, "seconds": sizes.matrix_seconds}
        yield Measurement(f"matrix {precision}", "matrix", arguments | there, 30)
    yield Measurement("copies", "copies", {"megabytes": sizes.megabytes} | there, 30)
    yield from _passes(sizes, there, lower, native, [way for way in ways if way not in SLOW])
    loads = [sizes.whole[0], *(load for load, *_ in sizes.parts)]
    yield Measurement("images", "prepare", {"loads": loads, "folder": str(folder)}, 120)
    load, block = sizes.whole
    run = {"load": load, "folder": str(folder), "precision": lower, "block": block} | there
    for workers, threads in sizes.workers:
        name = f"bigunet {load} {workers} × {threads}"
        yield Measurement(name, "ours", run | {"workers": workers, "threads": threads}, 60)
    for part, tile, window in sizes.parts:
        for contender in _programs(lower, native, tile, window, peers):
            arguments = {"load": part, "folder": str(folder), "contender": contender}
            arguments |= {"python": python} | there
            yield Measurement(f"program {part} {contender}", "program", arguments, 60)
    yield from _passes(sizes, there, lower, (), [way for way in ways if way in SLOW])


def _passes(
    sizes: Sizes,
    there: dict[str, Any],
    lower: str,
    native: tuple[str, ...],
    ways: list[str],
) -> Iterator[Measurement]:
    """Each way in the lower precision, and the usual way in the other precisions."""
    others = [p for p in native if p not in (lower, "int8")]
    for load, tile in sizes.loads:
        pairs = [(way, lower) for way in ways]
        pairs += [("channels-last", p) for p in others if "channels-last" in ways]
        for way, precision in pairs:
            arguments = {"load": load, "way": way, "precision": precision, "tile": tile}
            name = f"forward {load} {way} {precision}"
            limit = 150 if way in SLOW else 30
            yield Measurement(name, "forward", arguments | there, limit)


def _programs(
    lower: str, native: tuple[str, ...], tile: int, window: int, peers: list[str]
) -> list[str]:
    """Bigunet in fp32 first, with which all labels are compared, then the others."""
    exact = ["bigunet:fp32:torch", *([] if lower == "fp32" else [f"bigunet:{lower}:auto"])]
    naive = [f"naive:{p}:{tile}" for p in ("fp32", "tf32") if p in native]
    windows = [f"{peer}:{lower}:{window}" for peer in ("window", "monai-window")]
    others = [*naive, *windows, f"torch-em:{lower}:{tile}"]
    return [*exact, *(text for text in others if text.partition(":")[0] in peers)]


def measure(
    folder: Path,
    out: Path,
    *,
    device: str,
    minutes: float,
    python: str,
    sizes: Sizes = FULL,
    ways: list[str] | None = None,
    peers: list[str] | None = None,
) -> Path:
    """Measure all, and return the folder of the results."""
    target = out / folder_name(device_name(device))
    target.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)

    def record(results: list[dict[str, Any]]) -> None:
        partial = target / "gpu.partial"
        partial.write_text(json.dumps(results, indent=1) + "\n")
        partial.replace(target / "gpu.json")
        write_page(target, results)
        last = results[-1]
        print(
            f"{last['took_seconds']:6.1f} s  {last['name']}  {last.get('failed', '')}", flush=True
        )

    results = run_all(
        measurements(sizes, folder, device, python, ways or list(WAYS), peers or list(PEERS)),
        Path(__file__).parent / "gpu_tasks.py",
        seconds=60 * minutes,
        record=record,
        log=folder / "gpu.log",
    )
    plot(target, results)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument("--python", default=sys.executable, help="of an environment with peers")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument(
        "--small", action="store_true", help="try the script itself, on any machine"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="ways of the forward pass")
    parser.add_argument("--peers", nargs="+", choices=PEERS)
    chosen = parser.parse_args()
    target = measure(
        chosen.folder, chosen.out, device=chosen.device, minutes=chosen.minutes,
        python=chosen.python, sizes=SMALL if chosen.small else FULL, ways=chosen.ways,
        peers=chosen.peers,
    )  # fmt: skip
    print(target / "gpu.md")


if __name__ == "__main__":
    main()
