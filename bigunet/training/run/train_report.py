"""The report of a training run: what it did, for its caller and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigunet.options.short_repr import line_repr


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training run did.

    Parameters
    ----------
    path : Path
        The model file.
    record : Path
        Folder of the training record.
    score_name : str
    score : float
        Validation score of the weights in the model file; NaN without images to validate on.
    best_step, steps : int
        The step after which the kept weights were reached, and the number of all steps.
    seconds : float
        Time of training, without validation.
    patches_per_second : float
    waited : float
        Share of the seconds in which the network waited for patches, 0 to 1.
    stopped_early : bool
    weights : int
        Number of weights of the network.
    class_shares, annotated_share, doubts
        As in :class:`bigunet.TrainBegun`.
    voxel_size_um : tuple of float
        Voxel size in micrometres that the model was trained at; empty if unknown.
    """

    path: Path
    record: Path
    score_name: str
    score: float
    best_step: int
    steps: int
    seconds: float
    patches_per_second: float
    waited: float
    stopped_early: bool
    weights: int
    class_shares: Mapping[str, float] = field(default_factory=dict)
    annotated_share: float = 1.0
    doubts: tuple[str, ...] = ()
    voxel_size_um: tuple[float, ...] = ()

    def __repr__(self) -> str:
        score = "" if math.isnan(self.score) else f"{self.score_name} {self.score:.4g}"
        steps = f"step {self.best_step} of {self.steps}"
        return line_repr(self, str(self.path), score, steps, f"{self.seconds:.0f} s")

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet train --json` prints; a missing score is null."""
        return {
            "model": str(self.path),
            "record": str(self.record),
            "score_name": self.score_name,
            "score": None if math.isnan(self.score) else round(self.score, 4),
            "best_step": self.best_step,
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "patches_per_second": round(self.patches_per_second, 3),
            "waited_share": round(self.waited, 4),
            "stopped_early": self.stopped_early,
            "weights": self.weights,
            "classes": {name: round(share, 6) for name, share in self.class_shares.items()},
            "annotated_share": round(self.annotated_share, 6),
            "voxel_size_um": list(self.voxel_size_um) or None,
            "warnings": list(self.doubts),
        }
