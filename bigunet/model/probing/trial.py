"""A module under test: passes over artificial tiles, and comparisons of tiles with larger tiles.

``bigunet.model.probing.probe`` draws the conclusions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.geometry import ceil_div
from bigunet.model.probing.casts import WideCasts
from bigunet.model.scripted import on_meta
from bigunet.receptive import ReceptiveField

MAX_STRIDE = 64
# In float64, rounding causes differences of 1e-13; a wrong stride caused at least 1e-6.
TOLERANCE = 1e-9
ROUNDING = 1e-13
# The smallest number of voxels by which the larger tile exceeds the smaller one on each side.
_CONTEXT = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """A module under test. Tiles are cubic, so that one number is their size.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, in float64, in evaluation mode.
    in_channels, ndim : int
    known_hits, known_losses : dict
        Results of earlier measurements.
    failures : list of Exception
        The errors that the module has raised for tiles, in order.
    """

    module: nn.Module
    in_channels: int
    ndim: int
    known_hits: dict[tuple[int, int], np.ndarray | None] = field(default_factory=dict)
    known_losses: dict[int, dict[int, int]] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)

    def losses(self, smallest: int) -> dict[int, int]:
        """Voxels lost per axis by each accepted size; ``MAX_STRIDE`` sizes are tried."""
        if smallest not in self.known_losses:
            sizes = range(smallest, smallest + MAX_STRIDE)
            on_shapes = self.on_shapes()
            # Passes without values cost nothing, but they fail if the module reads values.
            losses = dict(on_shapes.lost(sizes, "meta"))
            if not losses and not self._fails_like(on_shapes, smallest):
                losses = dict(self.lost(sizes))
            self.known_losses[smallest] = losses
        return self.known_losses[smallest]

    def _fails_like(self, other: Trial, size: int) -> bool:
        """Whether both trials fail with the same message for tiles of a size."""
        if next(self.lost((size,)), None) is not None or not other.failures:
            return False
        return str(self.failures[-1]) == str(other.failures[0])

    def on_shapes(self) -> Trial:
        """A trial of a copy of the module without values."""
        return replace(self, module=on_meta(self.module), failures=[])

    def lost(self, sizes: Iterable[int], device: str = "cpu") -> Iterator[tuple[int, int]]:
        """The accepted sizes, each with the number of voxels that the scores lose per axis."""
        for size in sizes:
            shape = (1, self.in_channels, *(size,) * self.ndim)
            # Tensors that the module makes are made on this device, too.
            with torch.device(device):
                scores = self.run(torch.zeros(shape, dtype=torch.float64, device=device))
            if scores is None:
                continue
            lost = {size - n for n in scores.shape[2:]}
            if len(lost) != 1:
                raise off_grid((size,) * self.ndim, scores.shape[2:])
            yield size, lost.pop()

    def run(self, image: Tensor) -> Tensor | None:
        """Scores of one tile; None if the module refuses the tile."""
        try:
            with torch.inference_mode(), self.casts():
                # A clone, because the module may overwrite its input.
                scores: Tensor = self.module(image.clone())
        except Exception as error:  # a module may raise any error
            self.failures.append(error)
            return None
        check_scores(scores, image)
        return scores

    def casts(self) -> AbstractContextManager[Any]:
        """The context of a pass: casts of the module to shorter floats are ignored."""
        return WideCasts()

    def noise(self, size: int) -> Tensor:
        generator = torch.Generator().manual_seed(size)
        shape = (1, self.in_channels, *(size,) * self.ndim)
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    def cut(self, tile: Tensor, start: int, stop: int) -> Tensor:
        """The same range of every spatial axis."""
        return tile[(slice(None), slice(None)) + (slice(start, stop),) * self.ndim]

    def poisoned(self, size: int, at: int) -> Tensor:
        """Noise with one NaN voxel on the diagonal."""
        image = self.noise(size)
        self.cut(image, at, at + 1).fill_(torch.nan)
        return image


def check_scores(scores: object, image: Tensor) -> None:
    """Raise ModelError if a module's output is not one tensor of scores for one image."""
    if not isinstance(scores, Tensor):
        raise ModelError(
            f"the module gives a {type(scores).__name__}; it must give one tensor of scores "
            "(n, class, *space): wrap it in a module that returns that tensor alone"
        )
    if scores.ndim != image.ndim:
        raise ModelError(
            f"the module must give one tensor of scores (n, class, *space), {image.ndim} axes; it "
            f"gives {scores.ndim} axes, {tuple(scores.shape)} for an image of {tuple(image.shape)}"
        )
    if scores.is_complex():
        raise ModelError("the module gives complex numbers; scores are real: take a real part")
    if not scores.is_floating_point():
        raise ModelError(
            f"the module gives whole numbers ({str(scores.dtype).removeprefix('torch.')}), as "
            "argmax or a threshold does: take that step out, bigunet does it itself"
        )
    if scores.shape[0] != 1 or scores.shape[1] == 0:
        raise ModelError(
            f"the module gives {tuple(scores.shape)} for one image {tuple(image.shape)}; it must "
            "give (1, class, *space)"
        )
    if scores.dtype != image.dtype:
        raise ModelError(
            f"the module gives {str(scores.dtype).removeprefix('torch.')} for float64: it casts, "
            "or TorchScript froze its weights; take out the cast, or give the module unfrozen"
        )


def off_grid(image: Sequence[int], scores: Sequence[int]) -> ModelError:
    """The error for scores that are not on the image's voxels without a border."""
    return ModelError(
        f"the module maps {tuple(image)} voxels to {tuple(scores)}: not the image's voxel grid, "
        "cut by the same on both sides; scores must be as many as the voxels, or fewer at the rim"
    )


def equal(a: Tensor, b: Tensor) -> bool:
    """Whether scores are equal up to rounding; scores that are not finite are never equal."""
    allowed = TOLERANCE * float(a.std(correction=0)) + ROUNDING * float(a.abs().max())
    return float((a - b).abs().max()) <= allowed


def holds(trial: Trial, measured: ReceptiveField) -> bool:
    """Whether tiles of two sizes have the same scores as a larger tile around them.

    The tiles start at a multiple of the stride, and have context on all sides.
    """
    stride, border, halo = measured.stride[0], measured.border[0], measured.halo[0]
    shift = stride * ceil_div(_CONTEXT, stride)
    for kept in (stride, 3 * stride):
        size = measured.input_shape((kept,) * trial.ndim)[0]
        around = trial.noise(measured.input_shape((kept + 2 * shift,) * trial.ndim)[0])
        whole, scores = trial.run(around), trial.run(trial.cut(around, shift, shift + size))
        if whole is None or scores is None or scores.shape[-1] != size - 2 * border:
            return False
        first, stop = halo - border, size - halo - border
        expected = trial.cut(whole, shift + first, shift + stop)
        if not equal(expected, trial.cut(scores, first, stop)):
            return False
    return True
