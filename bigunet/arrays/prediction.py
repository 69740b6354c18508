"""The result of `predict`: arrays in memory, the table of the objects, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigunet.segmentation.segment_report import SegmentReport


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction:
    """What `predict` made of an array.

    The arrays have the axes of the input without its channels, in its order. They are numpy
    arrays, or DataArrays with the coordinates of the input if that is one of xarray.

    Parameters
    ----------
    classes : ndarray of uint8, or DataArray
        The class of each voxel.
    probabilities : ndarray of uint8, or DataArray, or None
        0 to 255, with an axis of the classes before the others; None unless ``outputs`` asks for
        them.
    instances : ndarray of uint32 or uint64, or DataArray, or None
        The number of the object of each voxel, 0 for none. None if the model file does not say
        what its objects are, and no option does.
    table : mapping of str to ndarray, or None
        One row for each object, with the columns of :func:`bigunet.measure`.
    report : SegmentReport
        What the run did. Its paths are empty, because its files are gone.
    """

    classes: Any
    probabilities: Any
    instances: Any
    table: Mapping[str, np.ndarray] | None
    report: SegmentReport

    def __repr__(self) -> str:
        shape = None if self.classes is None else tuple(self.classes.shape)
        shares = self.report.class_shares.items()
        listed = ", ".join(f"{name} {share:.1%}" for name, share in shares)
        parts = [f"shape {shape}", listed]
        if self.report.objects is not None:
            parts.append(f"{self.report.objects.num_objects} objects")
        if self.probabilities is not None:
            parts.append("probabilities")
        return f"<Prediction: {'; '.join(parts)}>"
