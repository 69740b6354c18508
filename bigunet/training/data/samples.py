"""Labelled images that training reads box by box, from wherever they are stored."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bigunet.errors import TrainingError
from bigunet.geometry import Box, ceil_div
from bigunet.io.sources.crop import Crop
from bigunet.io.sources.source import Source
from bigunet.model.inference.inputs import GreyRange

_BOX_VOXELS = 2**22
_MAX_BOXES = 256
"""Boxes of a label image that are counted at most: a gigavoxel, evenly spread."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image.

    Parameters
    ----------
    image, labels : Source
        Image and labels have the same shape and axes; the labels are integers of one channel.
    grey_range : GreyRange
        Grey values that become 0 and 1.
    weight : float
        How often patches come from this image, relative to the other images.
    spacing : tuple of float
        Size of a voxel along each axis, in units of its smallest side.
    terms : Source or None
        The kept border term of the weight map. If None, it is computed for each patch.
    annotated : Box or None
        A box that contains all annotated voxels; None is the whole image.
    medians : tuple of float
        Place of each channel's median in its grey range: 0 at the low end, 1 at the high end.
        Empty if it was not measured.
    """

    image: Source
    labels: Source
    grey_range: GreyRange
    weight: float = 1.0
    spacing: tuple[float, ...] = ()
    terms: Source | None = None
    annotated: Box | None = None
    medians: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.image.shape != self.labels.shape:
            raise TrainingError(
                f"{self.image.url} has shape {self.image.shape}, its labels "
                f"{self.labels.url} {self.labels.shape}; give labels of the same shape"
            )
        if not self.weight > 0:
            raise TrainingError(f"{self.image.url} has weight {self.weight}; give a positive one")
        if not self.spacing:
            object.__setattr__(self, "spacing", (1.0,) * len(self.image.shape))

    def grey(self, box: Box) -> np.ndarray:
        """Normalised image (channel, *box.shape), float32.

        Raises
        ------
        TrainingError
            If a voxel is NaN or infinite.
        """
        voxels = self.image.read(box)
        if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
            raise TrainingError(
                f"{self.image.url} has {np.count_nonzero(~np.isfinite(voxels))} values that are "
                f"NaN or infinite in {box}; replace them, or leave the image out"
            )
        along = (-1, *(1,) * len(box.shape))
        low = np.array(self.grey_range.low).reshape(along)
        span = np.array(self.grey_range.high).reshape(along) - low
        return np.asarray((voxels - low) / span, np.float32)

    def part(self, region: Box) -> Sample:
        """The part of this sample within ``region``."""
        terms = None if self.terms is None else Crop(self.terms, region)
        return replace(
            self,
            image=Crop(self.image, region),
            labels=Crop(self.labels, region),
            terms=terms,
            annotated=None,
        )

    @property
    def worth_drawing(self) -> Box:
        """The box in which the centres of patches are drawn."""
        return self.annotated or Box.of_shape(self.image.shape)

    def label_boxes(self) -> Iterator[Box]:
        """Boxes that cover all labels; in a huge image, evenly spread boxes instead."""
        shape, size = self.labels.shape, list(self.labels.shape)
        for axis in range(len(size)):
            others = int(np.prod([n for k, n in enumerate(size) if k != axis]))
            size[axis] = min(size[axis], max(64, _BOX_VOXELS // max(1, others)))
        counts = [ceil_div(n, s) for n, s in zip(shape, size)]
        total = int(np.prod(counts))
        step = max(1, ceil_div(total, _MAX_BOXES))
        for index, cell in enumerate(itertools.product(*map(range, counts))):
            if index % step == 0:
                start = tuple(c * s for c, s in zip(cell, size))
                stop = tuple(min(a + s, n) for a, s, n in zip(start, size, shape))
                yield Box(start, stop)
