"""Where the time of finished runs went, and what could be gained, from the ledgers of the runs.

    python benchmarks/run_profile.py OUTPUT.zarr... [--peak 3.9e11] [--json]

The script prints one table for each output. ``--peak`` is the rate of matrix products in operations
per second, in the precision of the run, as ``limit.py`` measures it; with it, the table says how
far the forward pass is from it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bigunet.segmentation.page.block_times import records_of
from bigunet.segmentation.run.stages import SEGMENT

Record = Mapping[str, Any]
# What the threads of the workers do with their time. Loading the model, converting grey values,
# filling in and counting labels are in one part, because the ledger does not tell them apart.
PARTS = (
    "waiting for memory", "reading", "waiting for the device", "computing",
    "loading, converting, filling in, counting", "writing", "other stages", "idle",
)  # fmt: skip


@dataclass(frozen=True)
class RunProfile:
    """The time of one run.

    Parameters
    ----------
    name : str
    seconds : float
        From the begin of the first block to the last byte.
    workers, threads : int
        Workers, and the threads of all of them, that did blocks.
    parts : mapping of str to float
        Seconds of all threads together, for each of PARTS; they add up to seconds × threads.
    recompute : float
        Operations of all tiles, divided by those of one pass over the whole image.
    flops : float
        Operations of one pass over the whole image.
    """

    name: str
    seconds: float
    workers: int
    threads: int
    parts: Mapping[str, float]
    recompute: float = 1.0
    flops: float = 0.0

    @classmethod
    def of(
        cls, name: str, records: Iterable[Record], report: Mapping[str, Any] | None = None
    ) -> RunProfile:
        """The profile of the records of a ledger.

        Raises
        ------
        ValueError
            If no record has times.
        """
        timed = [record for record in records if "begun" in record]
        if not timed:
            raise ValueError(f"{name} has no blocks with times: segment it anew")
        said = report or {}
        span = max(r["begun"] + r["seconds"] for r in timed) - min(r["begun"] for r in timed)
        if said.get("blocks_done") == said.get("blocks", -1):
            # One run did all, so that its report knows the time before and after the blocks, too.
            span = max(span, float(said["seconds"]))
        threads = len({(r["worker"], r["thread"]) for r in timed})
        parts = dict.fromkeys(PARTS, 0.0)
        for record in timed:
            for part, seconds in _parts_of(record).items():
                parts[part] += seconds
        parts["idle"] = max(0.0, span * threads - sum(parts.values()))
        recompute = float(said.get("recompute", 1.0))
        return cls(
            name,
            span,
            len({r["worker"] for r in timed}),
            threads,
            parts,
            recompute,
            float(said.get("flops", 0.0)) / recompute,
        )

    def gains(self, peak: float | None = None) -> dict[str, float]:
        """Seconds that the run could save at most, by what would have to change; largest first."""
        # One pass at a time has the device of a worker.
        computing = self.parts["computing"] / self.workers
        useful = computing / self.recompute
        gains = {
            "a device that never waits": self.seconds - computing,
            "no recompute": computing - useful,
        }
        if peak and self.flops:
            at_peak = self.flops / peak / self.workers
            gains["a forward pass at the peak of matrix products"] = useful - at_peak
        return dict(sorted(gains.items(), key=lambda item: -item[1]))

    def to_dict(self, peak: float | None = None) -> dict[str, Any]:
        """The profile and its gains as JSON values."""
        return asdict(self) | {"gains": self.gains(peak)}

    def table(self, peak: float | None = None) -> str:
        """The profile in Markdown."""
        whole = self.seconds * self.threads
        lines = [f"## {self.name}", ""]
        lines += [f"{self.seconds:.1f} s; workers: {self.workers}; threads: {self.threads}", ""]
        lines += ["| part | seconds of all threads | share |", "| --- | --- | --- |"]
        lines += [f"| {part} | {s:.2f} | {s / whole:.3f} |" for part, s in self.parts.items()]
        gains = self.gains(peak)
        lines += ["", "| what could be gained at most | seconds | share of the run |"]
        lines += ["| --- | --- | --- |"]
        lines += [f"| {what} | {s:.2f} | {s / self.seconds:.3f} |" for what, s in gains.items()]
        lines += ["", f"The next thing to gain: {next(iter(gains))}.", ""]
        return "\n".join(lines)


def _parts_of(record: Record) -> dict[str, float]:
    """The seconds of one block; they add up to its time."""
    if record["stage"] != SEGMENT:
        return {"other stages": record["seconds"]}
    names = ("room_wait", "read", "device_wait", "compute", "write")
    times = [record.get(f"{name}_seconds", 0.0) for name in names]
    room, read, wait, compute, write = times
    return {
        "waiting for memory": room,
        "reading": read,
        "waiting for the device": wait,
        "computing": compute,
        "loading, converting, filling in, counting": max(0.0, record["seconds"] - sum(times)),
        "writing": write,
    }


def profile_of(output: Path) -> RunProfile:
    """The profile of an output of ``segment``."""
    report = output / "bigunet" / "report.json"
    said = json.loads(report.read_text()) if report.is_file() else {}
    return RunProfile.of(output.name, records_of(output), said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outputs", type=Path, nargs="+", metavar="OUTPUT")
    parser.add_argument("--peak", type=float, help="operations per second of matrix products")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    arguments = parser.parse_args()
    profiles = [profile_of(output) for output in arguments.outputs]
    if arguments.json:
        print(json.dumps([p.to_dict(arguments.peak) for p in profiles], indent=2))
    else:
        print("\n".join(profile.table(arguments.peak) for profile in profiles))


if __name__ == "__main__":
    main()
