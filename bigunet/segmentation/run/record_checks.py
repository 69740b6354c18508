"""Checks the records of a ledger: which blocks a run has, and what the record of each must hold."""

from __future__ import annotations

import math
from typing import Any

from bigunet.engine.ledger_lines import Judge, Record, is_count
from bigunet.segmentation.instances.object_stages import WITH_ARRAY
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.stages import SEGMENT
from bigunet.segmentation.run.wholeness import num_blocks

_COUNTS = ("voxels", "bytes_read", "tiles_computed")


def judge_of(plan: SegmentPlan) -> Judge:
    """A function that says why no run of this plan can have written a record."""
    sizes = num_blocks(plan)
    num_classes = len(plan.model.description.classes)

    def judge(stage: str, block: int, record: Record) -> str:
        if stage not in sizes:
            return f"unknown stage {stage[:40]!r}"
        if block >= sizes[stage]:
            return f"block {block}, but {stage} has {sizes[stage]}"
        if not _is_pair(record.get("files")):
            return "no count of files"
        if stage in WITH_ARRAY and not is_count(record.get("fragments")):
            return "no number of fragments"
        return _segment_fault(record, num_classes) if stage == SEGMENT else ""

    return judge


def _segment_fault(record: Record, num_classes: int) -> str:
    counts = record.get("counts")
    if not isinstance(counts, list) or len(counts) != num_classes or not all(map(is_count, counts)):
        return f"no counts of {num_classes} classes"
    wrong = [name for name in _COUNTS if not is_count(record.get(name))]
    wrong += [name for name in ("device", "backend") if not isinstance(record.get(name), str)]
    wrong += [] if _is_seconds(record.get("compute_seconds")) else ["compute_seconds"]
    tile = record.get("smaller_tile", [])
    wrong += [] if isinstance(tile, list) and all(map(is_count, tile)) else ["smaller_tile"]
    if wrong:
        return f"no {wrong[0]}"
    if sum(counts) != record["voxels"]:
        return f"counts of {sum(counts)} voxels, not {record['voxels']}"
    return ""


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_count, value))


def _is_seconds(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < math.inf
