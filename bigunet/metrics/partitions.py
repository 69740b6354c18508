"""Agreement of two partitions of the voxels into segments.

Most scores look at pairs of voxels: a partition either joins the two voxels in one segment or
separates them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.metrics.overlap import OverlapTable, check_shapes
from bigunet.metrics.thinning import segments_of, thin_borders


def rand_error(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Share of the pairs of voxels that one partition joins and the other separates.

    This is 1 - Rand index over all voxels. The voxels between the segments are one more segment.

    Parameters
    ----------
    prediction, truth : ndarray of bool or int
        Of equal shape. In a map of bool, True is interior, and connected voxels of the interior
        are a segment. In an array of int, each value is a segment.

    Raises
    ------
    OptionError
        If the shapes differ, or the values are neither bool nor labels.

    References
    ----------
    Rand: Objective criteria for the evaluation of clustering methods, JASA 1971,
    doi:10.1080/01621459.1971.10482356.

    Examples
    --------
    >>> rand_error(np.array([1, 1, 2]), np.array([1, 2, 2]))
    0.6666666666666666
    """
    joined, in_truth, in_prediction, pairs = _joined_pairs(*_segments(prediction, truth))
    return (in_truth + in_prediction - 2 * joined) / pairs if pairs else 0.0


def adapted_rand_error(prediction: np.ndarray, truth: np.ndarray) -> float:
    """1 - F-score of the joined pairs of voxels, over the voxels of the true segments only.

    The voxels between the segments of the prediction (0) are one more segment, as in
    scikit-image; V^Rand differs in this. Parameters and errors are those of :func:`rand_error`.

    References
    ----------
    Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142.
    """
    prediction, truth = _segments(prediction, truth)
    inside = truth > 0
    joined, in_truth, in_prediction, _ = _joined_pairs(prediction[inside], truth[inside])
    return 1 - 2 * joined / (in_truth + in_prediction) if in_truth + in_prediction else 0.0


@dataclass(frozen=True, slots=True)
class ForegroundScores:
    """The two scores of the ISBI 2012 challenge, 0 to 1; higher is better.

    Parameters
    ----------
    v_rand : float
        F-score of the split score and the merge score, computed from squared overlaps.
    v_info : float
        The same F-score, computed from information: the mutual information of the two
        partitions, divided by their mean entropy.
    """

    v_rand: float
    v_info: float


def foreground_scores(
    prediction: np.ndarray, truth: np.ndarray, *, thin: bool = True
) -> ForegroundScores:
    """V^Rand and V^Info over the voxels of the true segments.

    Each voxel between the segments of the prediction is a segment of its own.

    Parameters
    ----------
    prediction, truth : ndarray of bool or int
        Of equal shape. In a map of bool, True is interior, and voxels of the interior that are
        connected over faces are a segment. In an array of int, each value is a segment, and 0 is
        between the segments.
    thin : bool
        Whether the borders of the prediction are thinned to lines first, so that the scores do
        not depend on their width. The truth is never thinned.

    Returns
    -------
    ForegroundScores
        Both scores are 1 where the truth has no segment.

    Raises
    ------
    OptionError
        If the shapes differ, or the values are neither bool nor labels.

    References
    ----------
    Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142.
    """
    prediction, truth = _segments(prediction, truth)
    inside = truth > 0
    if not inside.any():
        return ForegroundScores(1.0, 1.0)
    prediction = (thin_borders(prediction) if thin else prediction)[inside]
    table = OverlapTable.of(truth[inside], prediction)
    lone = int((prediction == 0).sum())
    kept = table.second_labels > 0
    joint = _Sizes(table.shared[kept[table.second]], lone)
    in_truth = _Sizes(table.first_sizes, 0)
    in_prediction = _Sizes(table.second_sizes[kept], lone)
    entropies = in_truth.entropy + in_prediction.entropy
    information = entropies - joint.entropy
    return ForegroundScores(
        2 * joint.squares / (in_truth.squares + in_prediction.squares),
        max(0.0, 2 * information / entropies) if entropies else 1.0,
    )


def v_rand(prediction: np.ndarray, truth: np.ndarray, *, thin: bool = True) -> float:
    """V^Rand, 0 to 1; higher is better. Parameters are those of :func:`foreground_scores`.

    Examples
    --------
    >>> v_rand(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))
    0.6666666666666666
    """
    return foreground_scores(prediction, truth, thin=thin).v_rand


def v_info(prediction: np.ndarray, truth: np.ndarray, *, thin: bool = True) -> float:
    """V^Info, 0 to 1; higher is better. Parameters are those of :func:`foreground_scores`.

    Examples
    --------
    >>> v_info(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))
    0.0
    """
    return foreground_scores(prediction, truth, thin=thin).v_info


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of some segments, and the number of further segments of one voxel each."""

    counts: np.ndarray
    lone: int

    @property
    def squares(self) -> float:
        """Sum of the squared sizes of all segments."""
        return float((self.counts.astype(np.float64) ** 2).sum()) + self.lone

    @property
    def entropy(self) -> float:
        """Entropy of the segment of a random voxel, in nats."""
        total = float(self.counts.sum()) + self.lone
        shares = self.counts / total
        of_lone = self.lone / total * math.log(total)
        return float(-(shares * np.log(shares)).sum()) + of_lone


def _segments(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Segments of the prediction and of the truth, once both are checked."""
    check_shapes(truth, prediction)
    for name, labels in (("truth", truth), ("segmentation", prediction)):
        if labels.dtype.kind not in "biu" or (labels.size and labels.min() < 0):
            raise OptionError(
                f"the {name} is {labels.dtype}; give a map of bool, or labels, whole and not "
                "negative"
            )
    return segments_of(prediction), segments_of(truth)


def _joined_pairs(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float, float, float]:
    """Number of pairs of voxels: joined by both, by the truth, by the prediction; all pairs."""
    table = OverlapTable.of(truth, prediction)
    sizes = (table.shared, table.first_sizes, table.second_sizes, np.array([truth.size]))
    joined, in_truth, in_prediction, pairs = (
        float((n.astype(np.float64) * (n - 1.0)).sum()) / 2 for n in sizes
    )
    return joined, in_truth, in_prediction, pairs
