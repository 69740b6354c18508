"""Types of the options that ``evaluate`` takes as keywords, for type checkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from bigunet.options.choices import EvaluationKind, MetricName


class EvaluateKeywords(TypedDict, total=False):
    """Fields of EvaluateOptions as keywords; sequences stand for tuples."""

    kind: EvaluationKind
    metrics: Sequence[MetricName]
    level: int
    channel: int | str | None
    threshold: float | None
    label_values: Sequence[int]
    ignore: Sequence[int]
    object_class: int | str | None
    border_class: int | str | None
    smallest: int
    connected: bool
    interior: int | str | None
    border_width: int
    volumes: bool
