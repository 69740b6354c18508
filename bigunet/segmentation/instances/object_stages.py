"""The stages between classes and numbered objects, in their order.

A block of one stage needs all blocks of the stages before, because the fragments of a stage get
their ids from all blocks together.
"""

from __future__ import annotations

from bigunet.objects.rule import ObjectRule

SEEDS = "seeds"
"""Finds the seeds of objects that are split."""
LABEL = "label"
"""Finds the fragments of objects."""


LINK = "link"
"""Counts overlaps of objects in neighbouring planes or time points."""
WITH_ARRAY = frozenset({SEEDS, LABEL})
"""Stages that write the fragment of each voxel."""


def object_stages(rule: ObjectRule) -> tuple[str, ...]:
    """The stages of a rule: of seeds if objects are split, of objects, and of links."""
    before = (SEEDS,) if rule.split else ()
    after = (LINK,) if rule.links else ()
    return (*before, LABEL, *after)


def last_stage(rule: ObjectRule) -> str:
    """The stage after which the fragments of objects have their final ids."""
    return object_stages(rule)[-1]
