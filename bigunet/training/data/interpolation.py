"""Interpolation: values between voxels, linear or cubic, at any positions of a plane or volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from bigunet.options.choices import InterpolationOrder

BEFORE, AFTER = 1, 2
"""Voxels that the cubic kernel needs before and after the voxel in which a position lies."""


def interpolate(voxels: np.ndarray, where: np.ndarray, order: InterpolationOrder) -> np.ndarray:
    """Values at positions.

    Parameters
    ----------
    voxels : ndarray of float32, (channel, *space)
        A plane or a volume.
    where : ndarray of float32, (axis, *patch)
        Positions in voxels. ``BEFORE`` and ``AFTER`` voxels must exist around each of them.
    order : {1, 3}
        1 is linear, 3 is cubic convolution with a = -3/4.

    Returns
    -------
    ndarray of float32, (channel, *patch)

    References
    ----------
    Keys: Cubic convolution interpolation for digital image processing, 1981,
    doi:10.1109/TASSP.1981.1163711.
    """
    given = torch.from_numpy(np.require(voxels, np.float32, ["C", "W"]))
    if order == 3 and len(where) == 3:
        return _cubic_in_volume(given, where.reshape(3, -1)).reshape(-1, *where.shape[1:])
    mode = "bicubic" if order == 3 else "bilinear"
    return _sampled(given, _grid(where, voxels.shape[1:]), mode).numpy()


def nearest(ids: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Values (*patch) of the voxels (*space) nearest to positions (axis, *patch)."""
    place = np.zeros(where.shape[1:], np.intp)
    for position, size in zip(where, ids.shape):
        place *= size
        place += np.floor(position + np.float32(0.5)).astype(np.intp)
    return ids.reshape(-1)[place]


def _grid(where: np.ndarray, shape: Sequence[int]) -> torch.Tensor:
    """Positions as torch expects them: (*patch, axis), the last axis first, -1 to 1."""
    grid = np.empty((*where.shape[1:], len(where)), np.float32)
    for axis, (position, size) in enumerate(zip(where, shape)):
        np.multiply(position, np.float32(2 / (size - 1)), out=grid[..., len(where) - 1 - axis])
    grid -= 1
    return torch.from_numpy(grid)


def _sampled(voxels: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    return functional.grid_sample(
        voxels[None], grid[None], mode=mode, padding_mode="border", align_corners=True
    )[0]


def _cubic_in_volume(volume: torch.Tensor, where: np.ndarray) -> np.ndarray:
    """Values (channel, position) at positions (3, position).

    Torch has cubic convolution in planes only. Positions are therefore grouped by the plane that
    they lie above. For each group, torch interpolates within the four nearest planes, as channels
    of one image, and the kernel is applied across these planes.
    """
    above = np.floor(where[0]).astype(np.int16)
    order = np.argsort(above, kind="stable")  # a fast radix sort, because of the int16
    result = np.empty((len(volume), len(order)), np.float32)
    counts = np.bincount(above)
    stops = np.cumsum(counts)
    for plane in np.flatnonzero(counts):
        chosen = order[stops[plane] - counts[plane] : stops[plane]]
        z, *yx = where[:, chosen]
        planes = volume[:, plane - BEFORE : plane + AFTER + 1]  # (c, 4, y, x)
        grid = _grid(np.stack(yx), volume.shape[2:])
        values = _sampled(planes.flatten(0, 1), grid[None], "bicubic").numpy()
        kernel = _kernel(z - plane)
        result[:, chosen] = (values.reshape(len(volume), *kernel.shape) * kernel).sum(axis=1)
    return result


def _kernel(t: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Weights (4, *t) of the voxels at -1, 0, 1 and 2 for a position ``t`` in 0 to 1."""
    back = 1 - t
    outer = [a * t * back**2, a * back * t**2]
    inner = [((a + 2) * x - (a + 3)) * x**2 + 1 for x in (t, back)]
    return np.stack([outer[0], *inner, outer[1]])
