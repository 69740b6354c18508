"""Check an output against its image: recompute windows across seams, on another grid of tiles."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bigunet.errors import OptionError, OutputError
from bigunet.geometry import Box, hull
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Multiscale
from bigunet.io.images.volume import VolumeReader
from bigunet.io.output.publish import read_provenance
from bigunet.io.stores.access import join_url, normal_url
from bigunet.model.files.model_file import load_model
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.score_maps import labels_of, score_margin
from bigunet.model.model import Model
from bigunet.segmentation.place import INSIDE_GROUP
from bigunet.segmentation.plan.plan import SegmentPlan, make_plan
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.tiling import Tile, Tiling
from bigunet.urls import shown_url

_WINDOW = {2: 128, 3: 32}
# Of the scores' standard deviation. fp32: the promise; 16-bit floats round at 2^-8 and 2^-11.
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 4e-3}


# Least deviation that counts, as a share of the largest score: fp32 rounds by a millionth.
_EVEN = 0.01


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was recomputed, and what differed.

    Parameters
    ----------
    windows, voxels : int
        How many were recomputed.
    seams : int
        How many windows lie across a border between tiles, of one block or of several.
    precision : str
        Of the run, and of this recomputation.
    max_difference : float
        Largest difference between scores on the run's grid of tiles and on a shifted one, in
        standard deviations of the scores.
    labels_differ : int
        Voxels whose stored label is not the recomputed one.
    labels_wrong : int
        Those of them whose two best scores differ by more than rounding can explain.
    """

    windows: int
    voxels: int
    seams: int
    precision: str
    max_difference: float
    labels_differ: int
    labels_wrong: int

    @property
    def passed(self) -> bool:
        """Whether the output is what one pass over the whole image would give."""
        return self.labels_wrong == 0 and self.max_difference <= TOLERANCE[self.precision]

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet verify --json` prints."""
        return {**asdict(self), "tolerance": TOLERANCE[self.precision], "passed": self.passed}


def verify(
    source: str | Path,
    target: str | Path | None = None,
    *,
    model: str | Path | Model | None = None,
    windows: int = 8,
    seed: int = 0,
    mask: str | Path = "",
) -> VerifyReport:
    """Recompute parts of an output, most of them across seams between blocks.

    Parameters
    ----------
    source : path or URL
        The image.
    target : path, optional
        The output that was made of it; by default the label inside the image.
    model : str, path or Model, optional
        By default the one that the output names.
    windows : int
        How many to recompute.
    seed : int
        Chooses them.
    mask : path or URL, optional
        The mask that the output was made with, where its address had a password or token: outputs
        keep none.

    Raises
    ------
    OutputError
        If the target is not a finished output, or not one of this image.
    ModelError, OptionError
        If the model cannot be found, is another one, or gives scores that are not finite.
    """
    if windows < 1:
        raise OptionError(f"{windows} windows; give at least 1")
    image, store, group = _opened(source, target)
    target = target or join_url(store, group)
    made = read_provenance(store, group)
    plan = _plan_of(image, target, made, model, normal_url(mask) if mask else "")
    if "classes" not in plan.options.outputs:
        raise OutputError(f"{target} has no classes to verify; segment with --output classes too")
    values = made["normalisation"]
    grey = GreyRange(
        tuple(values["values_low"]),
        tuple(values["values_high"]),
        # Outputs of earlier versions have no limits.
        tuple(values.get("least", ())),
        tuple(values.get("greatest", ())),
        tuple(map(tuple, values.get("padding", ()))),
        tuple(values.get("fill", ())),
    )
    predictor = Predictor(
        plan.model, grey, precision=made["precision"], backend=plan.options.backend
    )
    reader = VolumeReader(plan.image, level=plan.level, channels=plan.channels)
    stored = VolumeReader(open_multiscale(join_url(store, INSIDE_GROUP)))
    if stored.shape != plan.region.shape:
        raise OutputError(
            f"{target} has shape {stored.shape}, but {plan.region.shape} of {image.url} was "
            "segmented: it is another image's output"
        )
    check = _Check(plan, predictor, reader, stored)
    return check.run(list(_windows(plan, windows, seed)))


class _Check:
    """Recomputes windows one by one."""

    def __init__(
        self, plan: SegmentPlan, predictor: Predictor, reader: VolumeReader, stored: VolumeReader
    ) -> None:
        self._plan = plan
        self._predictor = predictor
        self._reader = reader
        self._stored = stored

    def run(self, windows: list[Box]) -> VerifyReport:
        tolerance = TOLERANCE[self._plan.precision]
        differ = wrong = 0
        largest = 0.0
        for window in windows:
            shifted = self._scores(window, Tiling(self._plan.tiling.field, window.shape))
            # In fp32 the squares of large scores overflow, and nothing would differ.
            spread = float(shifted.double().std(correction=0))
            # Of an even image the deviation is rounding itself.
            spread = max(spread, _EVEN * float(shifted.abs().max()))
            own = self._scores(window, None)
            difference = float((own - shifted).abs().max()) / max(spread, 1e-30)
            largest = max(largest, difference)
            local = window.shift(tuple(-v for v in self._plan.region.start))
            labels = torch.from_numpy(self._stored.read(local)[0])
            wanted = self._plan.wanted.read(window)
            kept = torch.ones(labels.shape, dtype=torch.bool)
            if wanted is not None:
                # A copy: what a mask of fewer axes gives cannot be written to.
                kept = torch.from_numpy(wanted.copy())
            if self._plan.options.nonfinite == "background":
                kept = kept & torch.from_numpy(np.isfinite(self._reader.read(window)).all(axis=0))
            unequal = torch.where(kept, labels_of(shifted), 0) != labels
            firm = score_margin(shifted) > tolerance * spread
            differ += int(unequal.sum())
            wrong += int((unequal & (firm | ~kept)).sum())
        return VerifyReport(
            windows=len(windows),
            voxels=sum(window.size for window in windows),
            seams=sum(len(list(self._run_tiles(window))) > 1 for window in windows),
            precision=self._plan.precision,
            max_difference=largest,
            labels_differ=differ,
            labels_wrong=wrong,
        )

    def _scores(self, window: Box, tiling: Tiling | None) -> Tensor:
        """Scores of a window, (class, *window), by a tiling of its own or the run's tiles."""
        tiles = list(tiling.tiles(window)) if tiling else list(self._run_tiles(window))
        scores: Tensor | None = None
        read = hull(tile.input for tile in tiles)
        image = self._reader.read(read)
        ndim = self._plan.network_axes
        for tile in tiles:
            pixels = image[(slice(None), *tile.input.within(read))]
            found = self._predictor.scores(pixels.reshape(pixels.shape[0], *pixels.shape[-ndim:]))
            found = found.reshape(found.shape[0], *tile.scores.shape).cpu()
            if scores is None:
                scores = torch.empty((found.shape[0], *window.shape))
            kept = tile.output.intersection(window)
            scores[(slice(None), *kept.within(window))] = found[
                (slice(None), *kept.within(tile.scores))
            ]
        assert scores is not None
        return scores

    def _run_tiles(self, window: Box) -> Iterator[Tile]:
        """The run's own tiles that wrote a part of the window."""
        for index in self._indices(window):
            for tile in self._plan.tiling.tiles(self._plan.grid.box(index)):
                if tile.output.intersection(window).size:
                    yield tile

    def _indices(self, window: Box) -> Iterator[tuple[int, ...]]:
        grid = self._plan.grid
        local = window.shift(tuple(-v for v in self._plan.region.start))
        axes = [
            range(a // n, (b - 1) // n + 1)
            for a, b, n in zip(local.start, local.stop, grid.block_shape)
        ]
        for index in np.ndindex(*(len(axis) for axis in axes)):
            yield tuple(axis[i] for axis, i in zip(axes, index))


def _windows(plan: SegmentPlan, count: int, seed: int) -> Iterator[Box]:
    """Windows at multiples of the stride: three of four around seams, the rest at the rim."""
    chooser = random.Random(seed)
    extent = _WINDOW[plan.network_axes]
    seams_of, stride = _seams(plan), plan.tiling.field.stride
    for number in range(count):
        start, stop = [], []
        for axis, size in enumerate(plan.region.shape):
            low = plan.region.start[axis]
            if axis < plan.region.ndim - plan.network_axes:
                at, length = chooser.randrange(size), 1
            else:
                inner = bool(seams_of[axis]) and number % 4 != 3
                centre = chooser.choice(seams_of[axis] if inner else (0, size))
                length = min(extent, size)
                at = min(max(centre - length // 2, 0), size - length)
                at = max(0, at - (low + at) % stride[axis])
            start.append(low + at)
            stop.append(low + at + length)
        yield Box(tuple(start), tuple(stop))


def _seams(plan: SegmentPlan) -> list[Sequence[int]]:
    """Where blocks meet, along each axis of the region; where tiles meet if there is one block."""
    grid, start = plan.grid, plan.region.start
    first = list(plan.tiling.tiles(grid.box((0,) * plan.region.ndim)))
    seams: list[Sequence[int]] = []
    for axis, (size, step) in enumerate(zip(plan.region.shape, grid.block_shape)):
        tiles = sorted({tile.output.start[axis] - start[axis] for tile in first})
        seams.append(range(step, size, step) if size > step else tiles[1:])
    return seams


def _opened(source: str | Path, target: str | Path | None) -> tuple[Multiscale, str, str]:
    """The image, its axes as the run was told them, and store and group of what it made."""
    store, group = (normal_url(source), INSIDE_GROUP) if target is None else (str(target), "")
    told = read_provenance(store, group).get("options", {})
    image = open_multiscale(source, axes=told.get("axes", ""))
    # Of a root with one series, the labels lie in the series.
    return image, image.url if target is None else store, group


def _plan_of(
    image: Multiscale,
    target: str | Path,
    made: dict[str, Any],
    model: str | Path | Model | None,
    mask: str,
) -> SegmentPlan:
    if not made:
        raise OutputError(
            f"{target} is not a finished output of bigunet; make it with segment, or finish it "
            "with segment --resume"
        )
    if model is None:
        if not made["model"]["path"]:
            raise OptionError(f"{target} was made with a module of Python's: give it as the model")
        model = made["model"]["path"]
    loaded = model if isinstance(model, Model) else load_model(model)
    if loaded.digest != made["model"]["sha256"]:
        raise OptionError(
            f"{target} was made with another version of model {made['model']['name']!r}; give "
            "the very file with --model"
        )
    options = SegmentOptions.from_dict(made["options"])
    if mask and shown_url(mask) != options.mask:
        raise OptionError(
            f"{target} was made with {f'mask {options.mask}' if options.mask else 'no mask'}, not "
            f"with mask {mask}"
        )
    channels = tuple(made["channels"])
    return make_plan(image, loaded, replace(options, mask=mask or options.mask, channels=channels))
