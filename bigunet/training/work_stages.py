"""Stages of a training run other than steps, and how far each stage is."""

from __future__ import annotations

from collections.abc import Callable

OnStage = Callable[[str, float], None]
"""A function that is called with the name of a stage, and with its share done, 0 to 1."""


def ignore_stage(stage: str, share: float) -> None:
    """Do nothing; for callers that do not follow the stages."""


class Counted:
    """A stage that consists of a known number of parts.

    Parameters
    ----------
    stage : str
        Name of the stage.
    total : int
        Number of all parts, such as voxels or images.
    on_stage : callable
    """

    def __init__(self, stage: str, total: int, on_stage: OnStage) -> None:
        self._stage = stage
        self._total = max(1, total)
        self._on_stage = on_stage
        self._done = 0
        on_stage(stage, 0.0)

    def add_one(self) -> None:
        """Count one more part as done."""
        self.add(1)

    def add(self, parts: int) -> None:
        """Count more parts as done."""
        self._done += parts
        self._on_stage(self._stage, min(1.0, self._done / self._total))
