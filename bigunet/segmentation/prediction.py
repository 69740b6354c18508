"""The result of `predict`: arrays in memory, the table of the objects, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigunet.options.short_repr import counted, line_repr, shown_shares
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

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    def __repr__(self) -> str:
        made = self.probabilities if self.classes is None else self.classes
        objects = self.report.objects
        return line_repr(
            self,
            f"shape {tuple(made.shape)}",
            shown_shares(self.report.class_shares),
            "" if objects is None else counted(objects.num_objects, "object"),
            "" if self.probabilities is None else "probabilities",
        )
