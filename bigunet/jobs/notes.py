"""Comments at the head of a script: what it does, and where its numbers come from."""

from __future__ import annotations

from importlib.metadata import version

from bigunet.jobs.duration import clock
from bigunet.jobs.pace import Pace
from bigunet.jobs.request import JobRequest
from bigunet.jobs.size import JobSize
from bigunet.segmentation.plan.segment_plan import SegmentPlan


def script_title(plan: SegmentPlan, target: str | None) -> str:
    """What the job does, and which program made its script."""
    into = "its own labels" if target is None else repr(target)
    made_by = f"made by 'bigunet jobs slurm' of bigunet {version('bigunet')}"
    return f"Segments {plan.image.url!r} into {into}; {made_by}."


def script_notes(
    plan: SegmentPlan, request: JobRequest, size: JobSize, pace: Pace | None
) -> list[str]:
    """Where the numbers of a script come from, for people who read or change them."""
    unit = "job" if request.way == "array" else "node"
    jobs = f"{size.jobs} {unit}s" if size.jobs > 1 else f"1 {unit}"
    notes = [f"{plan.grid.num_blocks} blocks of {plan.grid.block_shape} voxels for {jobs}."]
    if pace is not None and size.part_seconds is not None:
        whole = clock(round(pace.start_seconds + pace.work_seconds))
        part = clock(round(size.part_seconds))
        notes.append(f"Time: {whole} on one {unit}, {part} with {jobs}; {pace.origin}.")
    longer = "with a margin; a job that needs more goes on"
    time = "as given" if request.walltime_seconds else longer
    memory = "as given" if request.memory_bytes else "from the sizes of blocks and tiles"
    measured = "." if pace is not None else ", probably: nothing was measured."
    return [
        *notes,
        f"--time: {time}.",
        f"--mem: {memory}; --memory-limit in the command is less than that: change both.",
        f"--signal: seconds before the end, enough to finish the blocks in work{measured}",
    ]
