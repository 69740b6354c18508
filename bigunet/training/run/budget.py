"""The time that validation may take in a run by the clock, and the voxels that fit this time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bigunet.training.data.samples import Sample

_SHARE_OF_RUN = 0.05
_LEAST_SECONDS = 5.0
_MOST_SHARE = 0.2
"""Share of the training time so far that all validations before the last one may take."""
_PIECE_VOXELS = 2**16
WHOLE = 2**25
"""Voxels of one image that a validation scores at most, in a run without a limit."""


@dataclass(slots=True)
class Budget:
    """What one validation may take. A run with a fixed number of steps has no limit.

    Parameters
    ----------
    minutes : float
        Length of the run; 0 if a number of steps ends it.
    voxels : int
        Number of voxels, of all images together, that one validation has time for. It is 0 until
        it was measured.
    spent : float
        Seconds that all validations so far have taken.
    """

    minutes: float
    voxels: int = 0
    spent: float = 0.0

    @property
    def is_limited(self) -> bool:
        return self.minutes > 0

    @property
    def seconds(self) -> float:
        """Seconds that one validation may take."""
        return max(_LEAST_SECONDS, 60 * self.minutes * _SHARE_OF_RUN)

    def allows_another(self, trained_seconds: float) -> bool:
        """Whether there is time for a validation before the last one."""
        return not self.is_limited or self.spent <= _MOST_SHARE * trained_seconds

    def measure(self, validate: Callable[[int], object], patch_voxels: int) -> None:
        """Measure how many voxels fit the time, with two validations on a small piece.

        Parameters
        ----------
        validate : callable
            Called with the largest number of voxels to validate on.
        patch_voxels : int
            Voxels of one patch. The piece is not larger, so that it takes no longer than a step.
        """
        piece = min(_PIECE_VOXELS, patch_voxels)
        for _ in range(2):  # the first pass is slower, and does not count
            began = time.perf_counter()
            validate(piece)
            seconds = time.perf_counter() - began
        self.voxels = max(piece, int(piece * self.seconds / max(seconds, 1e-6)))

    def part_of(self, samples: Sequence[Sample], patch_voxels: int) -> tuple[list[Sample], int]:
        """The samples to validate on, and the largest number of voxels of each.

        Where the time is limited, they are evenly spread, and so few that each can have the
        voxels of a patch.
        """
        if not self.is_limited:
            return list(samples), WHOLE
        least = min(_PIECE_VOXELS, patch_voxels)
        count = min(len(samples), max(1, self.voxels // least))
        chosen = [samples[k * len(samples) // count] for k in range(count)]
        return chosen, max(least, min(WHOLE, self.voxels // count))


def seen_voxels(samples: Sequence[Sample], most: int) -> int:
    """Number of voxels that are scored if at most ``most`` voxels of each sample are."""
    return sum(min(most, math.prod(sample.image.shape)) for sample in samples)
