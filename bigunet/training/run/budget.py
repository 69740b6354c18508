"""Time that validation may take in a run that the clock ends, and the voxels that fit it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bigunet.training.data.samples import Sample

_SHARE_OF_RUN = 0.05
_LEAST_SECONDS = 5.0
_MOST_SHARE = 0.2
"""Of the training time so far, that validations before the last may take together."""
_PIECE_VOXELS = 2**16
WHOLE = 2**25
"""Voxels of one image that a validation without a limit looks at, at most."""


@dataclass(slots=True)
class Budget:
    """What one validation may take; a run of a number of steps has no limit.

    Parameters
    ----------
    minutes : float
        Of the run; 0 if steps end it.
    voxels : int
        That fit into the time, of all images together; 0 before it was measured.
    spent : float
        Seconds of all validations so far.
    """

    minutes: float
    voxels: int = 0
    spent: float = 0.0

    @property
    def is_limited(self) -> bool:
        return self.minutes > 0

    @property
    def seconds(self) -> float:
        """Of one validation."""
        return max(_LEAST_SECONDS, 60 * self.minutes * _SHARE_OF_RUN)

    def allows_another(self, trained_seconds: float) -> bool:
        """Whether a validation before the last one has its time."""
        return not self.is_limited or self.spent <= _MOST_SHARE * trained_seconds

    def measure(self, validate: Callable[[int], object], patch_voxels: int) -> None:
        """Find the voxels that fit the time, by validating on a small piece twice.

        Parameters
        ----------
        validate : callable
            Validates on at most so many voxels.
        patch_voxels : int
            Of one patch: a piece takes no longer than a step does.
        """
        piece = min(_PIECE_VOXELS, patch_voxels)
        for _ in range(2):  # the first pass also warms up
            began = time.perf_counter()
            validate(piece)
            seconds = time.perf_counter() - began
        self.voxels = max(piece, int(piece * self.seconds / max(seconds, 1e-6)))

    def part_of(self, samples: Sequence[Sample], patch_voxels: int) -> tuple[list[Sample], int]:
        """Samples to validate on, and how many voxels of each, at most.

        As many samples as give each a patch, evenly spread.
        """
        if not self.is_limited:
            return list(samples), WHOLE
        least = min(_PIECE_VOXELS, patch_voxels)
        count = min(len(samples), max(1, self.voxels // least))
        chosen = [samples[k * len(samples) // count] for k in range(count)]
        return chosen, max(least, min(WHOLE, self.voxels // count))


def seen_voxels(samples: Sequence[Sample], most: int) -> int:
    """Voxels of samples of which at most so many are looked at."""
    return sum(min(most, math.prod(sample.image.shape)) for sample in samples)
