"""The stages between classes and numbered objects, in their order.

A block of one stage needs all blocks of the stages before, because the fragments of a stage get
their ids from all blocks together.
"""

from __future__ import annotations

from bigunet.objects.rule import ObjectRule

HOLES = "holes"
"""Finds the fragments of what is not of the object class, if holes are filled."""
SEEDS = "seeds"
"""Finds the seeds of objects that are split."""
LABEL = "label"
"""Finds the fragments of objects."""


LINK = "link"
"""Counts overlaps of objects in neighbouring planes or time points."""
WITH_ARRAY = frozenset({HOLES, SEEDS, LABEL})
"""Stages that write the fragment of each voxel."""


def object_stages(rule: ObjectRule) -> tuple[str, ...]:
    """The stages of a rule, in their order."""
    needed = {HOLES: bool(rule.fill_holes), SEEDS: bool(rule.split), LINK: bool(rule.links)}
    return tuple(stage for stage in (HOLES, SEEDS, LABEL, LINK) if needed.get(stage, True))


def last_stage(rule: ObjectRule) -> str:
    """The stage after which the fragments of objects have their final ids."""
    return object_stages(rule)[-1]
