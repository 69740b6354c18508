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


def object_stages(rule: ObjectRule) -> tuple[str, ...]:
    """The stages that number fragments: of seeds if objects are split, then of objects."""
    return (SEEDS, LABEL) if rule.split else (LABEL,)
