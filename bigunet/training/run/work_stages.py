"""Stages of a training run, and who is told how far each one is."""

from __future__ import annotations

from collections.abc import Callable

OnStage = Callable[[str, float], None]
"""Told of the name of the stage at work, and of its share that is done, 0 to 1."""


def say_nothing(stage: str, share: float) -> None:
    """Tell nobody."""


class Counted:
    """A stage of a known number of parts.

    Parameters
    ----------
    stage : str
        Its name.
    total : int
        Parts in all; voxels, images.
    on_stage : callable
    """

    def __init__(self, stage: str, total: int, on_stage: OnStage) -> None:
        self._stage = stage
        self._total = max(1, total)
        self._on_stage = on_stage
        self._done = 0
        on_stage(stage, 0.0)

    def one(self) -> None:
        """One more part is done."""
        self.some(1)

    def some(self, parts: int) -> None:
        """So many more parts are done."""
        self._done += parts
        self._on_stage(self._stage, min(1.0, self._done / self._total))
