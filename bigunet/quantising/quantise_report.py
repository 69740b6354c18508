"""The result of ``quantise``: how int8 compares with fp32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bigunet.options.short_repr import line_repr

SAME_LABELS = 0.999
"""Share of the labels of fp32 that int8 must give, so that the model allows it."""
SAME_SCORE = 0.002
"""By how much int8 may score less than fp32, so that the model allows it."""


@dataclass(frozen=True, slots=True, repr=False)
class QuantiseReport:
    """How int8 compares with fp32 on images that did not calibrate it.

    Parameters
    ----------
    output : str
        The model file with the numbers of 8 bits.
    equal_labels : float
        Share of the voxels with the label of fp32, 0 to 1.
    score_name : str
        Empty without labels.
    fp32, int8 : float
        Score in each precision, 0 to 1; NaN without labels.
    same_images : bool
        Whether there was one image only, which calibrated the numbers as well.
    """

    output: str
    equal_labels: float
    score_name: str = ""
    fp32: float = math.nan
    int8: float = math.nan
    same_images: bool = False

    def __repr__(self) -> str:
        share = f"{self.equal_labels:.3%} of labels equal"
        return line_repr(self, share, "allowed" if self.allowed else "not allowed")

    @property
    def allowed(self) -> bool:
        """Whether ``--precision auto`` may take int8; without scores it may not."""
        near = self.int8 >= self.fp32 - SAME_SCORE
        return near and self.equal_labels >= SAME_LABELS and not self.same_images

    def to_dict(self) -> dict[str, Any]:
        """What the card of the model says of int8."""
        scores = {} if math.isnan(self.int8) else self._scores()
        return {"equal_labels": round(self.equal_labels, 6), **scores, "auto": self.allowed}

    def _scores(self) -> dict[str, Any]:
        scores = {"fp32": round(self.fp32, 4), "int8": round(self.int8, 4)}
        return {"score": self.score_name, **scores}
