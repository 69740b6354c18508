"""Targets: from numbered objects to the classes that a network can learn to give.

The border class keeps touching objects apart, so that connected foreground is one object again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

BACKGROUND, OBJECT, BORDER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Target:
    """The truth of one patch, as the loss wants it.

    Parameters
    ----------
    classes : ndarray of uint8, (*space)
        0 background, 1 object, 2 border.
    weights : ndarray of float32, (*space)
        How much each voxel counts.
    """

    classes: np.ndarray
    weights: np.ndarray


def classes_of(instances: np.ndarray, *, rim: bool = True) -> np.ndarray:
    """Background, object and border, so that no two objects touch, not even by a corner.

    Border is where two objects meet: the outermost voxel of each, and background between them.
    With ``rim``, it is also the background voxels next to an object: the border takes nothing
    from an object that stands alone.

    Parameters
    ----------
    instances : ndarray of int, (*space)
        0 is background.
    rim : bool

    Returns
    -------
    ndarray of uint8, (*space)

    Examples
    --------
    >>> classes_of(np.array([0, 0, 5, 5, 5, 7, 7, 0]))
    array([0, 2, 1, 1, 2, 2, 1, 2], dtype=uint8)
    """
    inside = instances > 0
    near = ndimage.maximum_filter(instances, 3, mode="nearest") > 0
    border = near & ~inside if rim else ~inside & _meeting(instances)
    border |= inside & _meeting(instances)
    return np.where(border, BORDER, inside).astype(np.uint8)


def target_of(
    instances: np.ndarray, *, border_weight: float = 1.0, meeting_weight: float = 1.0
) -> Target:
    """Classes, and weights that let thin borders count.

    Parameters
    ----------
    instances : ndarray of int, (*space)
    border_weight : float
        Weight of a border voxel; others count 1.
    meeting_weight : float
        Factor within two voxels of where objects meet.
    """
    classes = classes_of(instances)
    weights = np.where(classes == BORDER, border_weight, 1.0).astype(np.float32)
    meeting = ndimage.maximum_filter(_meeting(instances), 3, mode="nearest")
    weights[meeting] *= meeting_weight
    return Target(classes, weights)


def _meeting(instances: np.ndarray) -> np.ndarray:
    """Voxels with two different objects among themselves and their neighbours, corners included."""
    largest = np.iinfo(instances.dtype).max
    highest = ndimage.maximum_filter(instances, 3, mode="nearest")
    beyond = np.where(instances > 0, instances, largest)
    lowest = ndimage.minimum_filter(beyond, 3, mode="nearest")
    found: np.ndarray = (highest > 0) & (lowest < highest)
    return found
