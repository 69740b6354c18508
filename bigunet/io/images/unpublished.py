"""The arrays of an image that is not finished: its levels without the metadata of OME-Zarr."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import zarr

from bigunet.io.images.levels import level_of
from bigunet.io.images.limits import MAX_LEVELS
from bigunet.io.images.multiscale import Axis, Level, Multiscale
from bigunet.stores.access import find_node

_METADATA = {"zarr.json", ".zarray", ".zattrs"}


def open_unpublished(
    store: str,
    group: str,
    *,
    axes: Sequence[Axis],
    scale: Sequence[float],
    translation: Sequence[float],
) -> Multiscale | None:
    """Describe the arrays ``0``, ``1``, … of a group in a local store; None if there is no ``0``.

    Level 0 is there from the beginning, all of zeros. A coarser level counts when its first voxels
    are written.

    Parameters
    ----------
    store, group : str
    axes : sequence of Axis
        In the order of storage.
    scale, translation : sequence of float
        Of level 0, along these axes.

    Raises
    ------
    ImageError
        If an array cannot be read.
    """
    levels: list[Level] = []
    factors = (1,) * len(axes)
    while len(levels) < MAX_LEVELS:
        path = f"{group}/{len(levels)}"
        node = find_node(store, path)
        fits = isinstance(node, zarr.Array) and node.ndim == len(axes)
        if not fits or (levels and not _is_begun(os.path.join(store, path))):
            break
        assert isinstance(node, zarr.Array)
        if levels:
            factors = _factors(factors, levels[-1].shape, node.shape)
        placed = [t + s * (f - 1) / 2 for t, s, f in zip(translation, scale, factors)]
        levels.append(
            level_of(path, node, tuple(s * f for s, f in zip(scale, factors)), tuple(placed))
        )
    if not levels:
        return None
    count = next((n for axis, n in zip(axes, levels[0].shape) if axis.name == "c"), 1)
    return Multiscale(
        url=store,
        name=group.rpartition("/")[2],
        axes=tuple(axes),
        levels=tuple(levels),
        channel_names=("",) * count,
        is_label=np.dtype(levels[0].dtype).kind in "iu" and count == 1,
        version="",
        zarr_format=3 if os.path.exists(os.path.join(store, "zarr.json")) else 2,
    )


def _factors(
    before: tuple[int, ...], shape: Sequence[int], next_shape: Sequence[int]
) -> tuple[int, ...]:
    """The factors of a level: each axis keeps its extent, or halves, from level to level."""
    return tuple(f * (1 if n == m else 2) for f, n, m in zip(before, shape, next_shape))


def _is_begun(folder: str) -> bool:
    """Whether the folder of an array holds more than metadata."""
    return any(name not in _METADATA for name in os.listdir(folder))
