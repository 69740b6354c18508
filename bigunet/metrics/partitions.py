"""Agreement of two partitions of the voxels into segments: which are joined, which are apart."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from bigunet.metrics.overlap import OverlapTable, check_shapes


def v_rand(found: np.ndarray, truth: np.ndarray, *, thin: bool = True) -> float:
    """Foreground-restricted Rand F-score of two interior maps, 0 to 1."""
    check_shapes(truth, found)
    found_labels, true_labels = ndimage.label(found)[0], ndimage.label(truth)[0]
    if thin:
        found_labels = watershed(~found, found_labels)
    inside = true_labels > 0
    table = OverlapTable.of(true_labels[inside], found_labels[inside])
    if not table.shared.size:
        return 1.0
    return float(
        2
        * (table.shared.astype(float) ** 2).sum()
        / (
            (table.first_sizes.astype(float) ** 2).sum()
            + (table.second_sizes.astype(float) ** 2).sum()
        )
    )
