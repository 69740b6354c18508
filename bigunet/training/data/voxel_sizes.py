"""Voxel sizes of a training set's images: the size that the model is trained at, and doubts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bigunet.training.data.samples import Sample

ALIKE = 1.5
"""Voxel sizes that differ by more than this factor make objects of different sizes."""
_DIGITS = 9


def common_voxel_size(samples: Sequence[Sample], ndim: int) -> tuple[float, ...]:
    """Median voxel size of the images that state one, in micrometres along the network's axes.

    It is empty if no image states its voxel size, or if the sizes differ by more than ``ALIKE``
    along an axis.
    """
    sizes = [size for _, size in _stated(samples, ndim)]
    if not sizes or _apart(sizes) is not None:
        return ()
    return tuple(round(float(size), _DIGITS) for size in np.median(sizes, axis=0))


def doubt_of_sizes(samples: Sequence[Sample], ndim: int) -> str:
    """A warning if the voxel sizes differ too much; else empty."""
    stated = _stated(samples, ndim)
    axis = _apart([size for _, size in stated])
    if axis is None:
        return ""
    url, size = min(stated, key=lambda one: one[1][axis])
    other, larger = max(stated, key=lambda one: one[1][axis])
    return (
        f"voxels of {size[axis]:g} µm in {url} and {larger[axis]:g} µm in {other}: objects are of "
        "different sizes in voxels; bring the images to one scale, or give --level"
    )


def _stated(samples: Sequence[Sample], ndim: int) -> list[tuple[str, tuple[float, ...]]]:
    return [
        (str(sample.image.url), tuple(sample.image.scale_um[-ndim:]))
        for sample in samples
        if sample.image.scale_um and len(sample.image.scale_um) >= ndim
    ]


def _apart(sizes: Sequence[Sequence[float]]) -> int | None:
    """The first axis along which sizes differ too much; None if there is none."""
    for axis in range(len(sizes[0]) if sizes else 0):
        along = [size[axis] for size in sizes]
        if max(along) > ALIKE * min(along):
            return axis
    return None
