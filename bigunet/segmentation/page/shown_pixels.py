"""Reads what a page shows of an image and its labels: coarse levels, and small boxes of the finest.

Memory does not grow with the image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bigunet.geometry import Box, Point
from bigunet.io.files.opening import open_level
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writer import OutputWriter
from bigunet.options.choices import Output
from bigunet.segmentation.page.views import drawn_shape, shown_planes
from bigunet.segmentation.plan.segment_plan import SegmentPlan

OVERVIEW = 1024
"""The most voxels along an axis of the overview, where the output has such a level."""
# A larger plane of the image is not read for the overview.
_MOST_VOXELS = 2**25
_SAMPLE, _SAMPLES = 320, 9


@dataclass(frozen=True)
class ShownPixels:
    """Reads an image and the outputs of its run.

    Parameters
    ----------
    plan : SegmentPlan
    outputs : mapping of str to OutputImage
    """

    plan: SegmentPlan
    outputs: Mapping[Output, OutputImage]

    @property
    def overview_level(self) -> int:
        """The finest level of the output with a small plane, or the coarsest."""
        levels = self.plan.layout.levels
        small = [k for k, level in enumerate(levels) if max(level.shape[-2:]) <= OVERVIEW]
        return small[0] if small else len(levels) - 1

    def chosen_plane(self) -> Point:
        """Places along all axes but y and x, on level 0: the plane with most foreground.

        Of many planes, a few are looked at.
        """
        level = len(self.plan.layout.levels) - 1
        shape = self._shape(level)
        places = shown_planes(shape)
        if len(places) > 1:
            counts = [np.count_nonzero(self.classes(level, self.plane(level, p))) for p in places]
            places = [places[int(np.argmax(counts))]]
        return _moved(places[0], shape, self._shape(0))

    def plane(self, level: int, leading: Point) -> Box:
        """The whole plane at a place along the other axes, on a level of the output."""
        shape = self._shape(level)
        return Box((*leading, 0, 0), (*(k + 1 for k in leading), *shape[-2:]))

    def overview_box(self, leading: Point) -> Box:
        """The plane of the overview that shows a place of level 0."""
        shape = self._shape(self.overview_level)
        return self.plane(self.overview_level, _moved(leading, self._shape(0), shape))

    def classes(self, level: int, box: Box) -> np.ndarray:
        """The classes (y, x) of a plane of an output's level."""
        if "classes" in self.outputs:
            return self._read("classes", level, box)
        if "instances" in self.outputs:
            rule = self.plan.objects
            assert rule is not None
            return np.where(self._read("instances", level, box), np.uint8(rule.object_class), 0)
        count = len(self.plan.model.description.classes)
        shares = [self._read("probabilities", level, box, channel=k) for k in range(count)]
        return np.asarray(np.argmax(shares, axis=0))

    def objects(self, level: int, box: Box) -> np.ndarray:
        """The numbers of the objects (y, x), or the classes where objects are not numbered."""
        if "instances" not in self.outputs:
            return self.classes(level, box)
        classes, ids = self.classes(level, box), self._read("instances", level, box)
        # Voxels of other classes are outlined, too; no object has a number this large.
        return np.where(ids, ids.astype(np.uint64) + np.uint64(256), classes.astype(np.uint64))

    def grey(self, box: Box) -> np.ndarray:
        """Grey values (channel, y, x) of a plane of the segmented level."""
        read = self._reader(self.plan.level).read(box.shift(self.plan.region.start))
        return read.reshape(read.shape[0], *drawn_shape(box))

    def overview_grey(self, leading: Point) -> np.ndarray | None:
        """Grey values (channel, y, x) of a plane in about the resolution of the overview.

        None if the image has no level that is small enough to be read for this.
        """
        wanted = self._shape(self.overview_level)[-2:]
        level, box = self._overview_source(wanted, leading)
        if math.prod(box.shape) * len(self.plan.channels) > _MOST_VOXELS:
            return None
        read = self._reader(level).read(box)
        read = read.reshape(read.shape[0], *read.shape[-2:])
        steps = [max(1, -(-n // max(m, 1))) for n, m in zip(read.shape[-2:], wanted)]
        return read[:, :: steps[0], :: steps[1]]

    def sample(self, leading: Point) -> np.ndarray:
        """Grey values (channel, voxel) of a few small boxes of the segmented level."""
        shape, side = self._shape(0), math.isqrt(_SAMPLES)
        planes = [leading, *(p for p in shown_planes(shape) if p != leading)][:_SAMPLES]
        if max(shape[-2:]) <= side * _SAMPLE:
            boxes = [self.plane(0, place) for place in planes[:side]]
        else:
            boxes = [self._spot(planes[k % len(planes)], divmod(k, side)) for k in range(_SAMPLES)]
        parts = [self.grey(box).reshape(len(self.plan.channels), -1) for box in boxes]
        return np.concatenate(parts, axis=1)

    def _spot(self, place: Point, spot: tuple[int, int]) -> Box:
        """One of the small boxes, which are spread evenly over a plane."""
        plane, last = self._shape(0)[-2:], math.isqrt(_SAMPLES) - 1
        lengths = [min(_SAMPLE, n) for n in plane]
        start = [(n - length) * k // last for n, length, k in zip(plane, lengths, spot)]
        stop = [a + length for a, length in zip(start, lengths)]
        return Box((*place, *start), (*(k + 1 for k in place), *stop))

    def _overview_source(self, wanted: Point, leading: Point) -> tuple[int, Box]:
        """The level of the image that is nearest to the overview, and the plane on it."""
        image, region = self.plan.image, self.plan.region
        dtype = image.level(self.plan.level).dtype
        segmented = image.volume_shape(self.plan.level)
        best = self.plan.level, _on_level(segmented, segmented, region, leading)
        for level in range(self.plan.level + 1, len(image.levels)):
            box = _on_level(image.volume_shape(level), segmented, region, leading)
            large = all(n >= m for n, m in zip(box.shape[-2:], wanted))
            if large and image.level(level).dtype == dtype:
                best = level, box
        return best

    def _reader(self, level: int) -> ArrayReader:
        return open_level(self.plan.image, level=level, channels=self.plan.channels)

    def _read(
        self, output: Output, level: int, box: Box, *, channel: int | None = None
    ) -> np.ndarray:
        read = OutputWriter(self.outputs[output]).read_box(level, box, channel=channel)
        return np.asarray(read).reshape(drawn_shape(box))

    def _shape(self, level: int) -> Point:
        return self.plan.layout.levels[level].shape


def _moved(leading: Point, shape: Point, to: Point) -> Point:
    """The same place on another level."""
    return tuple((2 * k + 1) * m // (2 * n) for k, n, m in zip(leading, shape, to))


def _on_level(shape: Point, segmented: Point, region: Box, leading: Point) -> Box:
    """The plane of the region at a place, on another level of the image."""
    start = (*(a + k for a, k in zip(region.start, leading)), *region.start[-2:])
    stop = (*(a + 1 for a in start[:-2]), *region.stop[-2:])
    low = [a * n // m for a, n, m in zip(start, shape, segmented)]
    high = [-(-b * n // m) for b, n, m in zip(stop, shape, segmented)]
    ends = [max(a + 1, b) for a, b in zip(low, high)]
    ends[:-2] = [a + 1 for a in low[:-2]]
    return Box(tuple(low), tuple(ends))
