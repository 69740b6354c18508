"""The parts of a page that show the image: the whole with its labels, and enlarged parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from bigunet.blocks import BlockGrid
from bigunet.geometry import Box, Point
from bigunet.report.charts import legend
from bigunet.report.inline_picture import inline_picture
from bigunet.report.label_picture import framed, outlined, seen_grey, tinted
from bigunet.report.markup import Markup, element, figure, joined, section
from bigunet.segmentation.page.shown_pixels import OVERVIEW, ShownPixels
from bigunet.segmentation.page.views import (
    ZOOM,
    Zoom,
    corner_places,
    densest,
    drawn_shape,
    side_view,
    zoom_at,
)
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan

_OVERVIEW_BYTES, _ZOOM_BYTES = 500_000, 110_000
_CORNERS = 2
_FLAT_GREY = 96


@dataclass(frozen=True)
class PictureSections:
    """Draws the image with its labels.

    Parameters
    ----------
    pixels : ShownPixels
    normalisation : FixedNormalisation
    leading : tuple of int
        The plane that is shown: places along all axes but y and x.
    """

    pixels: ShownPixels
    normalisation: FixedNormalisation
    leading: Point

    def overview(self) -> Markup:
        """The whole plane with the classes as tints."""
        labels = self._coarse_classes
        voxels = self.pixels.overview_grey(self.leading)
        where = self._where()
        if voxels is None:
            grey = np.full((*labels.shape, 3), _FLAT_GREY, np.uint8)
            note = " The image has no small level, so only the labels are shown."
        else:
            grey, note = _resized(self._seen(voxels), labels.shape), ""
        drawn = tinted(grey, labels, self._colors, 0.45)
        alt = f"Overview of the image{where} with its classes as colours"
        picture = inline_picture(_bounded(drawn), alt, most_bytes=_OVERVIEW_BYTES)
        caption = f"The image{where} with its classes. {self._ends()}{self._channels()}{note}"
        return section("Overview", figure(picture, caption), self._legend())

    def zooms(self) -> Markup:
        """Corners of blocks, and the densest place, each without and with its labels."""
        corners = self._corners()
        labels = self._coarse_classes
        window = [max(1, round(n * s)) for n, s in zip((200, 200), self._shrinkage(labels))]
        centre = self._enlarged(densest(labels > 0, window), labels)
        places = [*corners, zoom_at(self._grid, self.leading, centre, "The densest place")]
        if (side := self._side(centre)) is not None:
            places.append(side)
        note = (
            "Small marks in the frame show where blocks meet. A seam would run between them."
            if corners or side is not None
            else "The output is one block in this plane, so that no seam could be in it."
        )
        drawn = element("div", *map(self._zoom, places), class_="zooms")
        return section("Close up", element("p", note), drawn)

    def _zoom(self, zoom: Zoom) -> Markup:
        grey = self._seen(self.pixels.grey(zoom.box))
        labels, ids = self.pixels.classes(0, zoom.box), self.pixels.objects(0, zoom.box)
        high = self._stretch(zoom.box)
        drawn = outlined(tinted(grey, labels, self._colors, 0.15), labels, self._colors, ids)
        where = self._place(zoom.box)
        pair = [
            inline_picture(
                framed(picture.repeat(high, axis=0), [high * n for n in zoom.rows], zoom.columns),
                f"{zoom.title}, {what}: {where}",
                most_bytes=_ZOOM_BYTES,
                sharp=True,
            )
            for picture, what in ((grey, "the image alone"), (drawn, "the image with its labels"))
        ]
        caption = joined(element("strong", zoom.title), f": {where} of the output.")
        return figure(element("div", *pair, class_="pair"), caption)

    def _side(self, centre: list[int]) -> Zoom | None:
        """A part from the side, if the network sees three axes."""
        return side_view(self._grid, self.leading, centre) if self._plan.network_axes == 3 else None

    def _stretch(self, box: Box) -> int:
        """Times that a row is repeated in a view from the side, if voxels are higher than wide."""
        size = self._plan.voxel_size_um
        if size is None or len(size) < 3 or drawn_shape(box)[0] == box.shape[-2]:
            return 1
        return max(1, min(round(size[0] / size[2]), 2 * ZOOM // drawn_shape(box)[0]))

    def _place(self, box: Box) -> str:
        """Where a part lies, in words."""
        ends = zip(self._plan.image.volume_axes, box.start, box.stop)
        return ", ".join(
            f"{axis} {a:,}" if b - a == 1 else f"{axis} {a:,} to {b - 1:,}" for axis, a, b in ends
        )

    def _corners(self) -> list[Zoom]:
        """The corners with most that is not background around them."""
        labels = self._coarse_classes
        half = [max(1, round(100 * s)) for s in self._shrinkage(labels)]

        def share(place: tuple[int, int]) -> float:
            spot = [int(p * s) for p, s in zip(place, self._shrinkage(labels))]
            y, x = (slice(max(0, p - h), p + h + 1) for p, h in zip(spot, half))
            return float(np.mean(labels[y, x] > 0))

        places = sorted(corner_places(self._grid), key=share, reverse=True)[:_CORNERS]
        return [
            zoom_at(self._grid, self.leading, place, f"Where blocks meet, {number}")
            for number, place in enumerate(places, start=1)
        ]

    @cached_property
    def _coarse_classes(self) -> np.ndarray:
        box: Box = self.pixels.overview_box(self.leading)
        return self.pixels.classes(self.pixels.overview_level, box)

    def _shrinkage(self, labels: np.ndarray) -> list[float]:
        """Voxels of the overview for one voxel of level 0, along y and x."""
        return [n / m for n, m in zip(labels.shape, self._plan.region.shape[-2:])]

    def _enlarged(self, place: tuple[int, int], labels: np.ndarray) -> list[int]:
        return [int(p / s) for p, s in zip(place, self._shrinkage(labels))]

    def _seen(self, voxels: np.ndarray) -> np.ndarray:
        return seen_grey(voxels, *self.normalisation.shown)

    def _ends(self) -> str:
        """What black and white are."""
        if self.normalisation.is_standardised:
            return "Black is one deviation below the mean, and white four above."
        return "Black and white are the ends of the grey range, as the network reads them."

    def _channels(self) -> str:
        """Which channels are shown; empty if there is one."""
        names = [self._plan.image.shown_channels[k] for k in self._plan.channels]
        if len(names) < 2:
            return ""
        if len(names) == 2:
            return f" Channel {names[0]} is shown."
        return f" Channels {names[0]}, {names[1]} and {names[2]} are red, green and blue."

    def _where(self) -> str:
        """The plane in words; empty for an image that is one."""
        names = self._plan.image.volume_axes[:-2]
        shape = self._plan.region.shape
        places = [
            f"{name} = {place:,} of 0 to {n - 1:,}"
            for name, place, n in zip(names, self.leading, shape)
            if n > 1
        ]
        return f" at {', '.join(places)}" if places else ""

    def _legend(self) -> Markup:
        classes = self._plan.model.description.classes[1:]
        return legend({c.name: swatch(c.color) for c in classes[:40]})

    @property
    def _colors(self) -> list[tuple[int, int, int]]:
        return [c.rgba[:3] for c in self._plan.model.description.classes]

    @property
    def _grid(self) -> BlockGrid:
        return self._plan.output_grid

    @property
    def _plan(self) -> SegmentPlan:
        return self.pixels.plan


def swatch(color: str) -> Markup:
    """A small square of a colour ``#rrggbb``."""
    return element("span", class_="swatch", style=f"background:{color}")


def _resized(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _bounded(picture: np.ndarray) -> np.ndarray:
    """The picture, with fewer voxels where the output has no level that is small enough."""
    step = max(1, -(-max(picture.shape[:2]) // (2 * OVERVIEW)))
    return picture[::step, ::step]
