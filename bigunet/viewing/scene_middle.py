"""The voxel of the image in the middle of what a scene shows at first."""

from __future__ import annotations

import math

from bigunet.viewing.scene import Scene
from bigunet.viewing.zarr_view import placement


def middle_of(scene: Scene) -> dict[str, int]:
    """The voxel of the image in the middle of the part of a scene; empty if it has no part.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    dict of str to int
        Voxels of level 0 of the image by axis, for each axis that both have. Along time, the first
        point of the part is taken.
    """
    if scene.part is None:
        return {}
    image, part = scene.main, scene.part
    scales, starts = (dict(zip(image.volume_axes, one)) for one in placement(image, 0))
    extents = dict(zip(image.volume_axes, image.volume_shape()))
    middle = {}
    sides = zip(part.volume_axes, part.volume_shape(), *placement(part, 0))
    for axis, extent, scale, start in sides:
        if axis in extents:
            place = start + (0 if axis == "t" else extent // 2) * scale
            voxel = math.floor((place - starts[axis]) / scales[axis] + 0.5)
            middle[axis] = min(max(voxel, 0), extents[axis] - 1)
    return middle
