"""Sums of each object, of a part of an image or of the whole: their fields, and their bytes.

All sums are whole numbers, or sums of floats without rounding (`bigunet.measuring.wide`). So the
sums of an image do not depend on the blocks that it was cut into, nor on their order.
`bigunet.measuring.block_sums` makes the sums of one block, `bigunet.measuring.merging` merges them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigunet.measuring.channel_sums import ChannelSums
from bigunet.measuring.runs import pairs
from bigunet.measuring.wide import Wide
from bigunet.npz import npz_arrays, npz_bytes, reading_npz

_PROBABILITY = "probability"


@dataclass(frozen=True, slots=True, eq=False)
class ObjectSums:
    """Sums over the voxels of each object in each frame, sorted by frame, then by id.

    Parameters
    ----------
    ids : ndarray of int64 (signed labels) or uint64 (unsigned labels), (objects,)
        None is 0.
    frames : ndarray of int64, (objects,)
        Index of the frame, in C order of the axes of frames; 0 where there are none. An id that is
        in two frames has two rows.
    voxels : ndarray of int64, (objects,)
        Number of voxels.
    start, stop : ndarray of int64, (objects, axes)
        The bounding box, in voxels of the volume: first voxel, and the voxel after the last.
    first_moments : Wide, (objects, axes)
        Sums of coordinates.
    second_moments : Wide, (objects, pairs)
        Sums of products of two coordinates, as :func:`bigunet.measuring.runs.pairs` has them.
    channels : tuple of ChannelSums
        Sums of grey values.
    probability : ChannelSums, optional
        Sums of the probability of the objects' class.
    """

    ids: np.ndarray
    frames: np.ndarray
    voxels: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    first_moments: Wide
    second_moments: Wide
    channels: tuple[ChannelSums, ...] = ()
    probability: ChannelSums | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ndim(self) -> int:
        """Axes of space."""
        return int(self.start.shape[1])

    @property
    def grey(self) -> tuple[ChannelSums, ...]:
        """The channels, and the probability where there is one."""
        return self.channels if self.probability is None else (*self.channels, self.probability)

    def touches_border(self, shape: Sequence[int]) -> np.ndarray:
        """Whether each object has a voxel at the border of a volume of this shape: (objects,).

        Axes of one voxel do not count: all objects would touch.
        """
        long = np.asarray(shape) > 1
        at_border = (self.start == 0) | (self.stop == np.asarray(shape))
        return np.asarray((at_border & long).any(axis=1))

    def rows(self, rows: slice) -> ObjectSums:
        """These objects alone."""
        return ObjectSums(
            self.ids[rows],
            self.frames[rows],
            self.voxels[rows],
            self.start[rows],
            self.stop[rows],
            self.first_moments.take(rows),
            self.second_moments.take(rows),
            tuple(channel.rows(rows) for channel in self.channels),
            None if self.probability is None else self.probability.rows(rows),
        )

    def to_bytes(self, *, compressed: bool = True) -> bytes:
        """The sums as an npz file: equal sums give equal bytes."""
        grey = {
            f"grey_{c}.{key}": array
            for c, channel in enumerate(self.grey)
            for key, array in channel.arrays().items()
        }
        arrays = {
            "ids": self.ids,
            "frames": self.frames,
            "voxels": self.voxels,
            "start": self.start,
            "stop": self.stop,
            **self.first_moments.arrays("first_moments"),
            **self.second_moments.arrays("second_moments"),
            "names": np.array([channel.name for channel in self.channels], str),
            _PROBABILITY: np.array(self.probability is not None),
        }
        return npz_bytes(arrays | grey, compressed=compressed)

    @classmethod
    def from_bytes(cls, content: bytes) -> ObjectSums:
        """Sums from the bytes of :meth:`to_bytes`; nothing is unpickled.

        Raises
        ------
        OutputError
            If the bytes are damaged.
        """
        with reading_npz(content, "the sums of a block", "the block is measured again"):
            return _checked(_of_arrays(npz_arrays(content)))


def _of_arrays(arrays: dict[str, np.ndarray]) -> ObjectSums:
    names = [*arrays["names"].tolist(), *([_PROBABILITY] if arrays[_PROBABILITY] else [])]
    grey = []
    for c, name in enumerate(names):
        begin = f"grey_{c}."
        own = {key.removeprefix(begin): a for key, a in arrays.items() if key.startswith(begin)}
        grey.append(ChannelSums.of_arrays(name, own))
    probability = grey.pop() if arrays[_PROBABILITY] else None
    return ObjectSums(
        arrays["ids"],
        arrays["frames"],
        arrays["voxels"],
        arrays["start"],
        arrays["stop"],
        Wide.of_arrays("first_moments", arrays),
        Wide.of_arrays("second_moments", arrays),
        tuple(grey),
        probability,
    )


def _checked(sums: ObjectSums) -> ObjectSums:
    """Refuse arrays that do not fit together."""
    rows, ndim = len(sums.ids), sums.ndim
    expected = [
        *((array, (rows,)) for array in (sums.ids, sums.frames, sums.voxels)),
        *((array, (rows, ndim)) for array in (sums.start, sums.stop)),
        (sums.first_moments.limbs[..., 0], (rows, ndim)),
        (sums.second_moments.limbs[..., 0], (rows, len(pairs(ndim)))),
        *((a, (rows,)) for channel in sums.grey for a in (channel.least, channel.greatest)),
        *((w.limbs[..., 0], (rows, 1)) for c in sums.grey for w in (c.total, c.squares)),
    ]
    for array, shape in expected:
        if array.shape != shape:
            raise ValueError(f"an array of shape {array.shape} where {shape} fits")
    return sums
