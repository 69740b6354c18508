"""Lengths and directions of objects, from exact second moments, as scikit-image has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bigunet.measuring.runs import pairs
from bigunet.measuring.sums import ObjectSums

Columns = dict[str, np.ndarray]


def scatter_of(sums: ObjectSums) -> np.ndarray:
    """``voxels**2`` times the covariance of coordinates, in Python's integers, (objects, pairs)."""
    axes = pairs(sums.ndim)
    n = sums.voxels.astype(object)[:, None]
    first = sums.first_moments.integers(0)
    i, j = ([pair[k] for pair in axes] for k in (0, 1))
    return np.asarray(n * sums.second_moments.integers(0) - first[:, i] * first[:, j])


def axes_of(scatter: np.ndarray, voxels: np.ndarray, spacing: Sequence[float]) -> list[np.ndarray]:
    """Lengths of the axes of the ellipse or ellipsoid of equal second moments, the longest first.

    Parameters
    ----------
    scatter : ndarray of object, (objects, pairs)
        Of :func:`scatter_of`.
    voxels : ndarray of int64, (objects,)
    spacing : sequence of float
        Size of a voxel per axis.

    Returns
    -------
    list of ndarray of float64, (objects,)
        Two in 2D, three in 3D; 0 for an axis along which the object is one voxel thin.
    """
    if len(spacing) == 2:
        return [4 * np.sqrt(value) for value in _values_2d(scatter, voxels, spacing)]
    matrices = np.empty((len(scatter), 3, 3))
    covariance = _covariance(scatter, voxels, spacing)
    for k, (i, j) in enumerate(pairs(3)):
        matrices[:, i, j] = matrices[:, j, i] = covariance[:, k]
    values = np.clip(np.linalg.eigvalsh(matrices), 0, None)
    return [np.sqrt(20 * values[:, k]) for k in (2, 1, 0)]


def eccentricity_of(
    scatter: np.ndarray, voxels: np.ndarray, spacing: Sequence[float]
) -> np.ndarray:
    """Of the ellipse of equal second moments, 0 (a circle, or one voxel) to 1 (a line); 2D only."""
    longest, _ = _values_2d(scatter, voxels, spacing)
    difference = 2 * _half_difference(_covariance(scatter, voxels, spacing))
    ratio = np.divide(difference, longest, out=np.zeros_like(longest), where=longest > 0)
    return np.asarray(np.sqrt(np.minimum(ratio, 1)))


def orientation_of(scatter: np.ndarray, voxels: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Angle from axis 0 to the longest axis, in radians, -pi/2 to pi/2; 2D only.

    Where all directions are alike it is -pi/4, as in scikit-image.
    """
    rows, mixed, columns = _covariance(scatter, voxels, spacing).T
    angle = 0.5 * np.arctan2(2 * mixed, rows - columns)
    return np.asarray(np.where((rows == columns) & (mixed <= 0), -np.pi / 4, angle))


def _covariance(scatter: np.ndarray, voxels: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Covariance of coordinates, (objects, pairs): each is rounded once, then scaled."""
    n = voxels.astype(object)[:, None]
    scales = np.array([spacing[i] * spacing[j] for i, j in pairs(len(spacing))])
    return np.asarray((scatter / (n * n)).astype(np.float64) * scales)


def _half_difference(covariance: np.ndarray) -> np.ndarray:
    rows, mixed, columns = covariance.T
    return np.asarray(np.hypot((rows - columns) / 2, mixed))


def _values_2d(
    scatter: np.ndarray, voxels: np.ndarray, spacing: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of the covariance; the lesser from the exact determinant: a line has 0."""
    covariance = _covariance(scatter, voxels, spacing)
    greater = (covariance[:, 0] + covariance[:, 2]) / 2 + _half_difference(covariance)
    determinant = scatter[:, 0] * scatter[:, 2] - scatter[:, 1] * scatter[:, 1]
    scaled = (determinant / voxels.astype(object) ** 4).astype(np.float64)
    scaled *= (spacing[0] * spacing[1]) ** 2
    lesser = np.divide(scaled, greater, out=np.zeros_like(greater), where=greater > 0)
    return greater, np.minimum(lesser, greater)
