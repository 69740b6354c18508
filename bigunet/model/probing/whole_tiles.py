"""Networks that are run on whole tiles only, and blended: what can be measured of them.

Nothing here asks whether the scores depend on the tile. The tile must have scores for its own
voxels, and the same scores each time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError, OptionError
from bigunet.geometry import Point
from bigunet.model.brief import first_line
from bigunet.model.copying import copied
from bigunet.model.probing.casts import WideCasts
from bigunet.model.probing.fault import same
from bigunet.model.probing.scores import score_kind
from bigunet.model.probing.trial import Trial, off_grid
from bigunet.model.scripted import on_meta
from bigunet.options.choices import ScoreKind
from bigunet.options.short_repr import shown_shape

# Tiles to try where the network states no shape.
_SIZES = {2: (64, 96, 128, 256, 512), 3: (32, 48, 64, 96, 128)}


@dataclass(frozen=True, slots=True)
class WholeTiles:
    """What was measured of a network on a tile.

    Parameters
    ----------
    tile_shape : tuple of int
        A shape that the network takes.
    border : tuple of int
        Voxels by which the scores are smaller than the tile, on each side.
    num_scores : int
    scores : {"logits", "probabilities"}
    """

    tile_shape: Point
    border: Point
    num_scores: int
    scores: ScoreKind


@dataclass(frozen=True, slots=True)
class _OneShape(Trial):
    """A trial in which all tiles have one shape, whatever their size is said to be."""

    shape: Point = ()

    def casts(self) -> AbstractContextManager[Any]:
        wide = _dtype_of(self.module) == torch.float64
        return WideCasts() if wide else contextlib.nullcontext()

    def noise(self, size: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        full = (1, self.in_channels, *self.shape)
        return torch.rand(full, generator=generator, dtype=_dtype_of(self.module))


def measure_tiles(
    module: nn.Module,
    *,
    in_channels: int,
    ndim: int,
    tile_shape: Sequence[int] = (),
    scores: ScoreKind | None = None,
) -> WholeTiles:
    """Measure a network in evaluation mode on one tile.

    Parameters
    ----------
    tile_shape : sequence of int, optional
        The shape that the network takes; by default the smallest one of a few usual shapes.

    Raises
    ------
    ModelError
        If it refuses the tile, if its scores are not on the tile's voxels, or if it is random.
    """
    shapes = [tuple(tile_shape)] if tile_shape else [(n,) * ndim for n in _SIZES[ndim]]
    wide = copied(module).cpu().double().eval()
    errors: list[Exception] = []
    # Some modules compute in float32 only.
    for network in (wide, copied(module).cpu().eval()):
        for shape in shapes:
            trial = _OneShape(network, in_channels, ndim, shape=shape)
            try:
                return _measured(trial, scores)
            except ModelError as error:
                errors.append(error)
    raise errors[-1]


def check_tile(module: nn.Module, *, in_channels: int, shape: Point, border: Point) -> None:
    """Raise OptionError if a network refuses a tile, or gives it another border than measured.

    It costs nothing where the network runs without values.
    """
    full = (1, in_channels, *shape)
    try:
        scores = _shape_of_scores(on_meta(module), full, "meta")
    except Exception:  # a module may raise any error, and some read values
        try:
            scores = _shape_of_scores(module, full, "cpu")
        except Exception as error:  # a module may raise any error
            raise OptionError(
                f"the network refuses a tile of {shown_shape(shape)} ({first_line(error)}): give a "
                "--tile-shape that it takes"
            ) from error
    if scores != tuple(n - 2 * b for n, b in zip(shape, border)):
        raise OptionError(
            f"the network gives {shown_shape(scores)} scores for a tile of {shown_shape(shape)}: "
            "give a --tile-shape of which it loses equally much on all sides"
        )


def _shape_of_scores(module: nn.Module, shape: tuple[int, ...], device: str) -> Point:
    with torch.inference_mode(), torch.device(device):
        image = torch.zeros(shape, dtype=_dtype_of(module), device=device)
        return tuple(module(image).shape[2:])


def _measured(trial: _OneShape, stated: ScoreKind | None) -> WholeTiles:
    image = trial.noise(0)
    first, again = trial.run(image), trial.run(image)
    if first is None or again is None:
        reason = first_line(trial.failures[-1])
        raise ModelError(
            f"the network refuses a tile of {shown_shape(trial.shape)} ({reason}): give a "
            "shape that it takes with --tile-shape"
        )
    if not same(first, again):
        raise ModelError(
            "the network gives other scores for the same image when it runs again; it must not be "
            "random, nor remember"
        )
    lost = [a - b for a, b in zip(trial.shape, first.shape[2:])]
    if any(n < 0 or n % 2 for n in lost):
        raise off_grid(trial.shape, first.shape[2:])
    kind = score_kind(trial, trial.shape[0], stated)
    return WholeTiles(trial.shape, tuple(n // 2 for n in lost), int(first.shape[1]), kind)


def _dtype_of(module: nn.Module) -> torch.dtype:
    tensors = (*module.parameters(), *module.buffers())
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
