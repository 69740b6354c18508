"""Read the results that lie in one folder for each processor or GPU."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loads import LOADS
from processor import kind_of

Result = dict[str, Any]
KINDS = ("AVX2", "AVX512", "AVX512-BF16", "AMX", "GPU")


@dataclass(frozen=True)
class Machine:
    """One processor or GPU with its results.

    Parameters
    ----------
    folder : Path
    name : str
        As the scripts printed it, with the instruction sets of a processor.
    limits : dict or None
        What ``limit.py`` printed.
    runs, comparisons, passes : list of dict
        What ``ours.py``, ``compare.py`` and ``forward.py`` printed, in the order of the loads.
    """

    folder: Path
    name: str
    limits: Result | None
    runs: list[Result]
    comparisons: list[Result]
    passes: list[Result]

    @property
    def kind(self) -> str:
        return kind_of(self.name)

    @classmethod
    def read(cls, folder: Path) -> Machine | None:
        """The results of a folder, by what is in its files; None if it has none of these."""
        results = [result for path in sorted(folder.glob("*.json")) for result in _listed(path)]
        limits = [r for r in results if "flops" in r and "copy_bytes" in r]
        runs = [r for r in results if "efficiency" in r and "runs" in r]
        comparisons = [r for r in results if "ours" in r and "peers" in r]
        passes = [r for r in results if isinstance(r.get("microseconds_per_voxel"), dict)]
        named = [*limits, *passes, *runs, *comparisons]
        if not named:
            return None
        return cls(
            folder,
            name_of(named[0]),
            _merged(limits) if limits else None,
            _in_order(runs),
            # Small loads check exactness; their seconds say little.
            [r for r in _in_order(comparisons) if not r["load"].endswith("-small")],
            _in_order(passes),
        )


def machines(folder: Path) -> list[Machine]:
    """All processors and GPUs of the results, the slowest kind first."""
    read = [Machine.read(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    return sorted((m for m in read if m is not None), key=lambda m: KINDS.index(m.kind))


def name_of(result: Result) -> str:
    """The processor or GPU that computed a result."""
    name: str = result.get("device") or result["cpu"]
    return name


def _merged(limits: list[Result]) -> Result:
    """The limits of several files: the best of each precision, and the first of all else."""
    merged: Result = {}
    flops: dict[str, float] = {}
    for one in limits:
        for precision, rate in one["flops"].items():
            flops[precision] = max(rate, flops.get(precision, 0.0))
        merged |= {k: v for k, v in one.items() if v is not None and k not in merged}
    return merged | {"flops": flops}


def _listed(path: Path) -> list[Result]:
    content = json.loads(path.read_text())
    return [one for one in (content if isinstance(content, list) else [content]) if _is_named(one)]


def _is_named(result: Any) -> bool:
    return isinstance(result, dict) and bool(result.get("device") or result.get("cpu"))


def _in_order(results: list[Result]) -> list[Result]:
    order = list(LOADS)
    return sorted(results, key=lambda result: order.index(result["load"]))
