"""Agreement voxel by voxel of two yes-or-no maps: overlap, error, precision and recall."""

from __future__ import annotations

import math

import numpy as np

from bigunet.metrics.overlap import check_shapes


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Twice the common voxels by the voxels of both; NaN where both are empty.

    Parameters
    ----------
    found, truth : ndarray of bool
        Of equal shape.
    """
    check_shapes(truth, found)
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else math.nan
