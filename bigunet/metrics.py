"""How well a segmentation agrees with the truth: numbers from two arrays of equal shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError


@dataclass(frozen=True, slots=True)
class Matches:
    """Objects of the truth and of a segmentation, paired one to one; images add up.

    Parameters
    ----------
    matched : int
        Pairs.
    missed, spurious : int
        Objects of the truth, and of the segmentation, that are in no pair.
    """

    matched: int = 0
    missed: int = 0
    spurious: int = 0

    def __add__(self, other: Matches) -> Matches:
        return Matches(
            self.matched + other.matched,
            self.missed + other.missed,
            self.spurious + other.spurious,
        )

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN); 1 where there was nothing to find and nothing was found."""
        total = self.matched + self.missed + self.spurious
        return self.matched / total if total else 1.0


def match_objects(truth: np.ndarray, found: np.ndarray, *, iou: float = 0.5) -> Matches:
    """Pair the objects whose overlap is more than ``iou`` of their union.

    Parameters
    ----------
    truth, found : ndarray of int
        Of equal shape; 0 is background, every other value is one object.
    iou : float
        At least 0.5, because below it an object could be in two pairs.

    Raises
    ------
    OptionError
        If the shapes differ, the values are no labels, or ``iou`` is out of range.
    """
    _check(truth, found, iou)
    true_sizes = np.unique_counts(truth[truth > 0])
    found_sizes = np.unique_counts(found[found > 0])
    both = (truth > 0) & (found > 0)
    a = np.searchsorted(true_sizes.values, truth[both])
    b = np.searchsorted(found_sizes.values, found[both])
    pairs = np.unique_counts(a * max(1, len(found_sizes.values)) + b)
    first, second = np.divmod(pairs.values, max(1, len(found_sizes.values)))
    union = true_sizes.counts[first] + found_sizes.counts[second] - pairs.counts
    matched = int((pairs.counts > iou * union).sum())
    return Matches(matched, len(true_sizes.values) - matched, len(found_sizes.values) - matched)


def average_precision(truth: np.ndarray, found: np.ndarray, *, iou: float = 0.5) -> float:
    """TP / (TP + FP + FN) of the objects that overlap by more than ``iou`` of their union.

    Parameters and errors are those of :func:`match_objects`.

    References
    ----------
    Caicedo et al.: Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl,
    Nature Methods 2019, doi:10.1038/s41592-019-0612-7.

    Examples
    --------
    >>> average_precision(np.array([1, 1, 0, 2]), np.array([3, 3, 0, 0]))
    0.5
    """
    return match_objects(truth, found, iou=iou).average_precision


def _check(truth: np.ndarray, found: np.ndarray, iou: float) -> None:
    if truth.shape != found.shape:
        raise OptionError(
            f"the truth is {truth.shape} and the segmentation {found.shape}; give the same level"
        )
    for name, labels in (("truth", truth), ("segmentation", found)):
        if labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
            raise OptionError(f"the {name} is {labels.dtype}; give labels, whole and not negative")
    if not 0.5 <= iou < 1:
        raise OptionError(f"iou is {iou}; give 0.5 to below 1, so that pairs are one to one")
