"""What the table says of the volume that the sums of its objects do not know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bigunet.errors import OptionError
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.images.units import scale_um, to_seconds


@dataclass(frozen=True, slots=True)
class Described:
    """The volume that the objects are in.

    Parameters
    ----------
    shape : sequence of int
        Voxels of the volume along the axes of space.
    voxel_size_um : sequence of float, optional
        Micrometres of a voxel per axis of space. Without it there are no columns in micrometres,
        and eccentricity and orientation are those in voxels.
    frames : mapping of str to int
        Number of frames by the name of their axis, such as ``t``, which names a column; an axis of
        one frame has none.
    class_name : str, optional
        Of the objects; without it there is no column ``class``.

    Raises
    ------
    OptionError
        If the size of a voxel is not above 0.
    """

    shape: Sequence[int]
    voxel_size_um: Sequence[float] | None = None
    frames: Mapping[str, int] = field(default_factory=dict)
    class_name: str | None = None

    def __post_init__(self) -> None:
        size = self.voxel_size_um
        if size is not None and not all(0 < float(value) < math.inf for value in size):
            raise OptionError(f"the size of a voxel is {tuple(size)}; give micrometres above 0")

    def spacing(self, ndim: int) -> tuple[float, ...] | None:
        """Micrometres of a voxel, one for each of so many axes."""
        if self.voxel_size_um is None:
            return None
        if len(self.voxel_size_um) != ndim:
            raise OptionError(
                f"a voxel has {len(self.voxel_size_um)} sizes, the labels {ndim} axes; "
                "give one each"
            )
        return tuple(float(value) for value in self.voxel_size_um)

    def frame_columns(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """A column for each axis of frames, from indices in C order of these axes."""
        sizes = tuple(self.frames.values())
        indices = np.unravel_index(frames, sizes) if sizes else ()
        return {
            name: index.astype(np.int64)
            for name, size, index in zip(self.frames, sizes, indices)
            if size > 1
        }


def steps_of_frames(image: ImageDescription, level: int) -> dict[str, float]:
    """Step from frame to frame by axis, where the image states it: t in seconds, planes in µm."""
    steps = {}
    for axis, scale in zip(image.volume_axes, image.volume_scale(level)):
        if axis == "t" and (seconds := to_seconds(image.unit("t"))) is not None:
            steps["t"] = scale * seconds
    size = scale_um(image, level)
    if "z" in image.volume_axes and size is not None:
        steps[image.slice_axis] = size[0]
    return steps


def column_names(image: ImageDescription) -> tuple[str, ...]:
    """Names of channels, or their numbers where names are missing or alike."""
    if image.channel_axis is None and image.num_channels == 1 and not any(image.channel_names):
        return ("",)
    names = image.shown_channels
    alike = {name for name in names if names.count(name) > 1}
    mixed = tuple(str(k) if name in alike else name for k, name in enumerate(names))
    # A number may be the name of another channel.
    return mixed if len(set(mixed)) == len(mixed) else tuple(map(str, range(len(names))))
