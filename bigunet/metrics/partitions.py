"""Agreement of two partitions of the voxels into segments: which are joined, which are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bigunet.errors import OptionError
from bigunet.metrics.overlap import OverlapTable, check_shapes
from bigunet.metrics.thinning import segments_of, thin_borders


def rand_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the pairs of voxels that one partition joins and the other parts.

    1 - Rand index, over all voxels; those between the segments are one segment more.

    Parameters
    ----------
    found, truth : ndarray of bool or int
        Of equal shape: interior maps, whose connected voxels are segments, or labels.

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
    joined, in_truth, in_found, pairs = _joined_pairs(*_segments(found, truth))
    return (in_truth + in_found - 2 * joined) / pairs if pairs else 0.0


def adapted_rand_error(found: np.ndarray, truth: np.ndarray) -> float:
    """1 - F-score of the pairs of voxels that are joined, over the true segments only.

    What was found between its segments (0) is one segment more, as in scikit-image; V^Rand
    differs in that. Parameters and errors are those of :func:`rand_error`.

    References
    ----------
    Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142.
    """
    found, truth = _segments(found, truth)
    inside = truth > 0
    joined, in_truth, in_found, _ = _joined_pairs(found[inside], truth[inside])
    return 1 - 2 * joined / (in_truth + in_found) if in_truth + in_found else 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """The scores of the ISBI 2012 challenge, higher is better.

    Parameters
    ----------
    v_rand : float
        F-score of split and merge by squared overlaps, 0 to 1.
    v_info : float
        F-score of split and merge by information: mutual information by mean entropy, 0 to 1.
    """

    v_rand: float
    v_info: float


def foreground_agreement(found: np.ndarray, truth: np.ndarray, *, thin: bool = True) -> Agreement:
    """Agreement of the segments over the voxels of the true segments.

    What was found between its segments counts as segments of one voxel each.

    Parameters
    ----------
    found, truth : ndarray of bool or int
        Of equal shape: interior maps, whose voxels connected over faces are segments, or labels
        with 0 between them.
    thin : bool
        Whether the borders of ``found`` are thinned to lines first, so that their width costs
        nothing; the truth is left as it is.

    Returns
    -------
    Agreement
        Both scores 1 where the truth has no segment.

    Raises
    ------
    OptionError
        If the shapes differ, or the values are neither bool nor labels.

    References
    ----------
    Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142.
    """
    found, truth = _segments(found, truth)
    inside = truth > 0
    if not inside.any():
        return Agreement(1.0, 1.0)
    found = (thin_borders(found) if thin else found)[inside]
    table = OverlapTable.of(truth[inside], found)
    lone = int((found == 0).sum())
    kept = table.second_labels > 0
    joint = _Sizes(table.shared[kept[table.second]], lone)
    in_truth, in_found = _Sizes(table.first_sizes, 0), _Sizes(table.second_sizes[kept], lone)
    entropies = in_truth.entropy + in_found.entropy
    information = entropies - joint.entropy
    return Agreement(
        2 * joint.squares / (in_truth.squares + in_found.squares),
        max(0.0, 2 * information / entropies) if entropies else 1.0,
    )


def v_rand(found: np.ndarray, truth: np.ndarray, *, thin: bool = True) -> float:
    """V^Rand, 0 to 1, higher is better; parameters of :func:`foreground_agreement`.

    Examples
    --------
    >>> v_rand(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))
    0.6666666666666666
    """
    return foreground_agreement(found, truth, thin=thin).v_rand


def v_info(found: np.ndarray, truth: np.ndarray, *, thin: bool = True) -> float:
    """V^Info, 0 to 1, higher is better; parameters of :func:`foreground_agreement`.

    Examples
    --------
    >>> v_info(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))
    0.0
    """
    return foreground_agreement(found, truth, thin=thin).v_info


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Voxels of the segments, and how many segments of one voxel there are besides."""

    counts: np.ndarray
    lone: int

    @property
    def squares(self) -> float:
        return float((self.counts.astype(np.float64) ** 2).sum()) + self.lone

    @property
    def entropy(self) -> float:
        """In nats, of the segment of a random voxel."""
        total = float(self.counts.sum()) + self.lone
        shares = self.counts / total
        of_lone = self.lone / total * math.log(total)
        return float(-(shares * np.log(shares)).sum()) + of_lone


def _segments(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    check_shapes(truth, found)
    for name, labels in (("truth", truth), ("segmentation", found)):
        if labels.dtype.kind not in "biu" or (labels.size and labels.min() < 0):
            raise OptionError(
                f"the {name} is {labels.dtype}; give a map of bool, or labels, whole and not "
                "negative"
            )
    return segments_of(found), segments_of(truth)


def _joined_pairs(found: np.ndarray, truth: np.ndarray) -> tuple[float, float, float, float]:
    """Pairs of voxels joined by both partitions, by the truth, by the found one, and in all."""
    table = OverlapTable.of(truth, found)
    sizes = (table.shared, table.first_sizes, table.second_sizes, np.array([truth.size]))
    joined, in_truth, in_found, pairs = (
        float((n.astype(np.float64) * (n - 1.0)).sum()) / 2 for n in sizes
    )
    return joined, in_truth, in_found, pairs
