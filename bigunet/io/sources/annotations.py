"""Labels as whole numbers, whatever type they are stored as, and the voxels without a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bigunet.errors import LabelsError
from bigunet.geometry import Box
from bigunet.io.images.mirror import mirror_indices
from bigunet.io.sources.source import Source

NOT_ANNOTATED = int(np.iinfo(np.int16).min)
"""The label of a voxel that nobody annotated. All other labels are 0 or above."""

_SIGNED = {"u1": "i2", "u2": "i4", "u4": "i8", "u8": "i8", "b1": "i2", "i1": "i2"}


def is_annotated(labels: np.ndarray) -> np.ndarray:
    """Whether somebody annotated each voxel.

    Parameters
    ----------
    labels : ndarray of int or bool

    Returns
    -------
    ndarray of bool, of the same shape
    """
    if labels.dtype.kind != "i":
        return np.ones(labels.shape, bool)
    return np.asarray(labels != NOT_ANNOTATED)


def annotated(source: Source, ignore: Sequence[int] = ()) -> Source:
    """Return a source of labels as whole numbers.

    Parameters
    ----------
    source : Source
        Of one channel, of integers, bool or float.
    ignore : sequence of int
        Values of voxels that nobody annotated. They are read as ``NOT_ANNOTATED``.

    Returns
    -------
    Source
        The source itself if it holds bool or unsigned integers and ``ignore`` is empty.
    """
    if source.dtype.kind in "bu" and not ignore:
        return source
    return AnnotatedLabels(source, ignore)


class AnnotatedLabels:
    """The labels of another source, as signed integers.

    Parameters
    ----------
    source : Source
        Of one channel, of integers, bool or float.
    ignore : sequence of int
        Values of voxels that nobody annotated. They are read as ``NOT_ANNOTATED``.
    """

    num_channels = 1

    def __init__(self, source: Source, ignore: Sequence[int] = ()) -> None:
        self._source = source
        self._ignore = tuple(ignore)
        stored = source.dtype.str[1:]
        self.dtype: np.dtype[Any] = np.dtype(
            _SIGNED.get(stored, "i8" if source.dtype.kind == "f" else stored)
        )
        self.url = source.url
        self.axes = source.axes
        self.shape = source.shape
        self.scale_um = source.scale_um

    def read(self, box: Box) -> np.ndarray:
        """Read the labels of a box, as :meth:`bigunet.io.images.reader.Reader.read` says.

        Raises
        ------
        LabelsError
            If the value of an annotated voxel is below 0 or no whole number.
        """
        stored = self._source.read(box)
        ignored = np.zeros(stored.shape, bool)
        for value in self._ignore:
            ignored |= stored == value
        wrong = ~ignored & ~_is_label(stored)
        if wrong.any():
            raise LabelsError(self._refusal(stored, wrong, box))
        labels = np.where(ignored, 0, stored).astype(self.dtype)
        labels[ignored] = NOT_ANNOTATED
        return labels

    def percentiles(self, quantiles: Sequence[float]) -> tuple[tuple[float, ...], ...]:
        """Percentiles of the values as they are stored."""
        return self._source.percentiles(quantiles)

    def _refusal(self, stored: np.ndarray, wrong: np.ndarray, box: Box) -> str:
        first = np.argwhere(wrong)[0]
        value = stored[tuple(first)]
        inside = [
            int(mirror_indices(start + int(step), start + int(step) + 1, size)[0])
            for start, step, size in zip(box.start, first[1:], self.shape)
        ]
        place = ", ".join(f"{axis} {at}" for axis, at in zip(self.axes, inside))
        problem = f"{self.url} holds {value} at {place}; labels are whole numbers from 0 on"
        if not np.isfinite(value):
            return (
                f"{problem}: replace it, by a value that --ignore leaves out if nobody annotated it"
            )
        if value < 0 and value == int(value):
            return f"{problem}: give --ignore {int(value)} if nobody annotated these voxels"
        return problem


def _is_label(stored: np.ndarray) -> np.ndarray:
    """Whether each value is a whole number, 0 or above, that fits int64."""
    if stored.dtype.kind == "b":
        return np.ones(stored.shape, bool)
    if stored.dtype.kind == "f":
        fits = (stored >= 0) & (stored < np.float64(2**63))
        return np.asarray(fits & (stored == np.floor(stored)))
    return np.asarray((stored >= 0) & (stored < 2**63))
