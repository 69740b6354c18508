"""Recomputes windows of an output on another grid of tiles, and counts what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bigunet.blend_tiling import BlendTiling
from bigunet.geometry import Box, hull
from bigunet.io.images.array_reader import ArrayReader
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.score_maps import labels_of, score_margin
from bigunet.segmentation.instances.object_classes import ReadBox, Thresholded
from bigunet.segmentation.instances.window_check import wrong_ids
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.blended import blended_scores
from bigunet.segmentation.verify_report import TOLERANCE, VerifyReport
from bigunet.tiling import Tile, Tiling

# The least deviation that counts, as a share of the largest score. In a uniform image the deviation
# is nothing but rounding, which in fp32 is about 1e-6 of a score.
_LEAST_DEVIATION = 0.01


@dataclass(frozen=True)
class WindowDifference:
    """What differs in one window.

    Parameters
    ----------
    scores : float
        Largest difference of scores, in standard deviations.
    labels_differ, labels_wrong : int
        As in :class:`VerifyReport`.
    """

    scores: float
    labels_differ: int
    labels_wrong: int


@dataclass(frozen=True)
class Recomputation:
    """Recomputes windows one by one.

    Parameters
    ----------
    plan : SegmentPlan
        The plan of the run.
    predictor : Predictor
    reader : ArrayReader
        Reads the image, in voxels of its level.
    stored : ArrayReader
        Reads the classes of the output, in voxels of the region.
    instances : ArrayReader, optional
        Reads the ids of the objects of the output, if it has any.
    probabilities : ArrayReader, optional
        Reads the probabilities of the objects, if objects are made by a threshold.
    """

    plan: SegmentPlan
    predictor: Predictor
    reader: ArrayReader
    stored: ArrayReader
    instances: ArrayReader | None = None
    probabilities: ArrayReader | None = None

    def compare(self, windows: list[Box]) -> VerifyReport:
        """Recompute all windows and add up what differs."""
        differences = [self._difference(window) for window in windows]
        return VerifyReport(
            windows=len(windows),
            voxels=sum(window.size for window in windows),
            seams=sum(len(list(self._run_tiles(window))) > 1 for window in windows),
            precision=self.plan.precision,
            max_difference=max((one.scores for one in differences), default=0.0),
            labels_differ=sum(one.labels_differ for one in differences),
            labels_wrong=sum(one.labels_wrong for one in differences),
            ids_wrong=sum(map(self._wrong_ids, windows)),
            exact=self.plan.exact,
        )

    def _wrong_ids(self, window: Box) -> int:
        """Voxels of a window that cannot have their id, if the stored classes are right."""
        rule = self.plan.objects
        if rule is None or self.instances is None:
            return 0
        local = window.shift(tuple(-v for v in self.plan.region.start))
        volume = Box.of_shape(self.plan.region.shape)
        instances = self.instances

        def classes(box: Box) -> np.ndarray:
            return np.asarray(self.stored.read(box)[0])

        threshold, probabilities = self.plan.options.object_threshold, self.probabilities
        if threshold is None or probabilities is None:
            objects_of: ReadBox = classes
        else:
            objects_of = Thresholded(
                classes, lambda box: probabilities.read(box)[0], rule, threshold
            )
        return wrong_ids(
            objects_of,
            lambda box: instances.read(box)[0],
            window=local,
            volume=volume,
            rule=rule,
        )

    def _difference(self, window: Box) -> WindowDifference:
        shifted = self._shifted_scores(window)
        # In fp32 the squares of large scores overflow, and then nothing would differ.
        deviation = float(shifted.double().std(correction=0))
        deviation = max(deviation, _LEAST_DEVIATION * float(shifted.abs().max()))
        own = shifted if self._blend else self._scores(window, list(self._run_tiles(window)))
        local = window.shift(tuple(-v for v in self.plan.region.start))
        labels = torch.from_numpy(self.stored.read(local)[0])
        kept = self._kept(window)
        unequal = torch.where(kept, labels_of(shifted), 0) != labels
        firm = score_margin(shifted) > TOLERANCE[self.plan.precision] * deviation
        return WindowDifference(
            scores=float((own - shifted).abs().max()) / max(deviation, 1e-30),
            labels_differ=int(unequal.sum()),
            labels_wrong=int((unequal & (firm | ~kept)).sum()),
        )

    @property
    def _blend(self) -> BlendTiling | None:
        return self.plan.tiling if isinstance(self.plan.tiling, BlendTiling) else None

    def _shifted_scores(self, window: Box) -> Tensor:
        """Scores on another grid of tiles; of a blend, which has one grid, the blended scores."""
        if self._blend is None:
            tiling = Tiling(self.plan.tiling.field, window.shape)
            return self._scores(window, list(tiling.tiles(window)))
        read = self._blend.read_box(window)
        image = self.reader.read(read)
        tiles = self._blend.tiles(window)
        return blended_scores(window, self._blend, tiles, lambda t: self._tile(image, read, t))

    def _tile(self, image: np.ndarray, read: Box, tile: Tile) -> Tensor:
        """Scores of a tile from the pixels of the box ``read``."""
        pixels, ndim = image[(slice(None), *tile.input.within(read))], self.plan.network_axes
        return self.predictor.scores(pixels.reshape(pixels.shape[0], *pixels.shape[-ndim:]))

    def _kept(self, window: Box) -> Tensor:
        """Which voxels keep the labels of the network; the others are label 0."""
        selected = self.plan.selection.read(window)
        kept = torch.ones(window.shape, dtype=torch.bool)
        if selected is not None:
            # A copy, because the array of a mask of fewer axes cannot be written to.
            kept = torch.from_numpy(selected.copy())
        if self.plan.options.nonfinite == "background":
            kept = kept & torch.from_numpy(np.isfinite(self.reader.read(window)).all(axis=0))
        return kept

    def _scores(self, window: Box, tiles: list[Tile]) -> Tensor:
        """Scores of a window, (score, *window), computed tile by tile.

        There is one score per class, or a single score for a network that ends in a sigmoid.
        """
        read = hull(tile.input for tile in tiles)
        image = self.reader.read(read)
        scores: Tensor | None = None
        for tile in tiles:
            of_tile = self._tile(image, read, tile)
            of_tile = of_tile.reshape(of_tile.shape[0], *tile.scores.shape).cpu()
            if scores is None:
                scores = torch.empty((of_tile.shape[0], *window.shape))
            kept = tile.output.intersection(window)
            scores[(slice(None), *kept.within(window))] = of_tile[
                (slice(None), *kept.within(tile.scores))
            ]
        assert scores is not None
        return scores

    def _run_tiles(self, window: Box) -> Iterator[Tile]:
        """The tiles of the run that wrote a part of the window."""
        if self._blend is not None:
            yield from self._blend.tiles(window)
            return
        for index in self.plan.grid.overlapping(window):
            for tile in self.plan.tiling.tiles(self.plan.grid.box(index)):
                if tile.output.intersection(window).size:
                    yield tile
