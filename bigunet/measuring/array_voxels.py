"""Labels and grey values of arrays in memory, or of any arrays that slice, box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigunet.errors import ImageError, LabelsError
from bigunet.geometry import Box, Point
from bigunet.measuring.block_sums import sums_of_block
from bigunet.measuring.sums import ObjectSums


@dataclass(frozen=True, slots=True)
class ArrayVoxels:
    """Arrays of labels, of an image, and of probabilities.

    Parameters
    ----------
    labels : array of int, (*frames, *space)
    image : array, optional
        Of the shape of the labels, or with an axis of channels before it.
    probability : array, optional
        Of the shape of the labels.
    ndim : int
        Axes of space, 2 or 3.

    Raises
    ------
    LabelsError
        If the labels do not have two or three axes of space.
    ImageError
        If the image or the probabilities do not fit the labels.
    """

    labels: Any
    image: Any
    probability: Any
    ndim: int

    def __post_init__(self) -> None:
        if self.ndim not in (2, 3):
            raise LabelsError(
                f"labels have {self.ndim} axes of space; give 2 or 3, and name those before them: "
                'frames=["t"]'
            )
        if self.image is not None and self.shape not in (_shape(self.image), self._without_channel):
            raise ImageError(
                f"the image is {_shape(self.image)}, the labels {self.shape}; give equal shapes, "
                "or channels first"
            )
        if self.probability is not None and _shape(self.probability) != self.shape:
            raise ImageError(
                f"the probability is {_shape(self.probability)}, the labels {self.shape}; give "
                "equal shapes"
            )

    @classmethod
    def of(cls, labels: Any, image: Any, probability: Any, frames: Sequence[str]) -> ArrayVoxels:
        """Of arrays, or of what numpy makes an array of."""
        labels, image, probability = (
            one if one is None or hasattr(one, "shape") else np.asarray(one)
            for one in (labels, image, probability)
        )
        return cls(labels, image, probability, len(labels.shape) - len(frames))

    @property
    def shape(self) -> Point:
        return _shape(self.labels)

    def sums(self, box: Box) -> ObjectSums:
        """Sums of the objects in a box."""
        volume = Box.of_shape(self.shape)
        where = box.within(volume)
        probability = None if self.probability is None else np.asarray(self.probability[where])
        return sums_of_block(
            np.asarray(self.labels[where]),
            box,
            volume,
            self._channels(where),
            probability=probability,
            ndim=self.ndim,
        )

    @property
    def _without_channel(self) -> Point:
        return _shape(self.image)[1:]

    def _channels(self, where: tuple[slice, ...]) -> dict[str, np.ndarray]:
        if self.image is None:
            return {}
        if _shape(self.image) == self.shape:
            return {"": np.asarray(self.image[where])}
        grey = np.asarray(self.image[(slice(None), *where)])
        return {str(c): channel for c, channel in enumerate(grey)}


def _shape(array: Any) -> Point:
    return tuple(int(n) for n in array.shape)
