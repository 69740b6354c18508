"""The result of `verify`: what was recomputed, what differed, and which difference passes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bigunet.options.short_repr import counted, line_repr

TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 4e-3, "int8": 0.0}
"""Largest difference of scores that passes, in standard deviations of the scores.

That of fp32 is what bigunet promises; bf16 rounds at 2^-8 and fp16 at 2^-11. In int8
all sums are exact.
"""


@dataclass(frozen=True, slots=True, repr=False)
class VerifyReport:
    """What was recomputed, and what differed.

    Parameters
    ----------
    windows, voxels : int
        Number of windows and of voxels that were recomputed.
    seams : int
        Number of windows that lie across a border between tiles, of one block or of several.
    precision : str
        Precision of the run and of this recomputation.
    max_difference : float
        Largest difference between scores on the run's grid of tiles and on a shifted one, in
        standard deviations of the scores.
    labels_differ : int
        Voxels with another stored label than the recomputed one.
    labels_wrong : int
        Those among them with a larger difference between the two best scores than rounding can
        explain.
    ids_wrong : int
        Voxels of numbered objects with an id that contradicts the classes in the window.
    exact : bool
        Whether the labels are compared with one pass over the whole image. If not, they are
        compared with the blend of overlapping tiles over the whole image.
    """

    windows: int
    voxels: int
    seams: int
    precision: str
    max_difference: float
    labels_differ: int
    labels_wrong: int
    ids_wrong: int = 0
    exact: bool = True

    def __repr__(self) -> str:
        windows = f"{counted(self.windows, 'window')} in {self.precision}"
        wrong = f"{self.labels_wrong} labels wrong, {self.ids_wrong} ids wrong"
        return line_repr(
            self,
            "passed" if self.passed else "not passed",
            windows,
            f"{self.labels_differ} labels differ",
            wrong,
            "" if self.exact else "not exact",
        )

    @property
    def passed(self) -> bool:
        """Whether the output is what one pass, or the blend, over the whole image would give."""
        wrong = self.labels_wrong + self.ids_wrong
        return wrong == 0 and self.max_difference <= TOLERANCE[self.precision]

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet verify --json` prints."""
        return {**asdict(self), "tolerance": TOLERANCE[self.precision], "passed": self.passed}
