"""What is measured of a module: its receptive field, or without one what a tile shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from bigunet.errors import InexactError, ModelError
from bigunet.geometry import Point
from bigunet.model.probing.probe import probe
from bigunet.model.probing.whole_tiles import measure_tiles
from bigunet.options.choices import ScoreKind
from bigunet.receptive import ReceptiveField


@dataclass(frozen=True)
class Measured:
    """What was measured of a module.

    Parameters
    ----------
    field : ReceptiveField
        Of a module that is not exact, it has the border alone.
    shape : tuple of int
        A spatial shape that the module takes.
    num_scores : int
    scores : {"logits", "probabilities"}
    exact : bool
        Whether tiles can equal the whole image.
    """

    field: ReceptiveField
    shape: Point
    num_scores: int
    scores: ScoreKind
    exact: bool = True

    @classmethod
    def of(
        cls,
        module: nn.Module,
        *,
        in_channels: int,
        ndim: int,
        scores: ScoreKind | None,
        halo: Sequence[int],
        tile_shape: Point | None,
    ) -> Measured:
        """Measure the receptive field; or a tile, if there is no field and that is allowed.

        Parameters
        ----------
        tile_shape : tuple of int or None
            The shape that the module takes, empty if unknown; None to allow exact modules only.
        """
        try:
            found = probe(module, in_channels=in_channels, ndim=ndim, scores=scores, halo=halo)
        except ModelError as error:
            if tile_shape is None or (halo and isinstance(error, InexactError)):
                raise
            tile = measure_tiles(
                module, in_channels=in_channels, ndim=ndim, tile_shape=tile_shape, scores=scores
            )
            field = ReceptiveField((1,) * ndim, tile.border, tile.border, (0,) * ndim)
            return cls(field, tile.tile_shape, tile.num_scores, tile.scores, exact=False)
        shape = found.field.input_shape(found.field.stride)
        return cls(found.field, shape, found.num_scores, found.scores)
