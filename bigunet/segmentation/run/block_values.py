"""The values of one block before they are written: labels and probabilities, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from bigunet.geometry import Box
from bigunet.model.inference.forward import Prediction
from bigunet.options.choices import Output
from bigunet.segmentation.output_kinds import OUTPUT_KINDS, OutputKind
from bigunet.tiling import Tile

# Up to this many classes, comparing is faster than a histogram, which makes integers of 8 bytes.
_FEW_CLASSES = 40

Values = dict[Output, np.ndarray]
"""Arrays of a block: classes (*box), probabilities (class, *box); both uint8."""


def empty_values(box: Box, outputs: Iterable[Output], num_classes: int) -> Values:
    """Arrays for the outputs of a block, not filled. The classes are always there."""
    names: dict[Output, None] = {"classes": None, **dict.fromkeys(outputs)}
    return {name: _empty(OUTPUT_KINDS[name], box, num_classes) for name in names}


def _empty(kind: OutputKind, box: Box, num_classes: int) -> np.ndarray:
    shape = (num_classes, *box.shape) if kind.per_class else box.shape
    return np.empty(shape, kind.dtype)


def fill_in(
    values: Mapping[Output, np.ndarray], tile: Tile, box: Box, prediction: Prediction
) -> None:
    """Copy the prediction of a tile to its place in the block ``box``."""
    where = tile.output.within(box)
    values["classes"][where] = prediction.labels.reshape(tile.output.shape)
    if prediction.probabilities is not None:
        probabilities = prediction.probabilities
        probabilities = probabilities.reshape(probabilities.shape[0], *tile.output.shape)
        values["probabilities"][(slice(None), *where)] = probabilities


def clear_others(values: Values, kept: np.ndarray | None) -> None:
    """Set all voxels that are not kept to label 0, with probability 1; None keeps all.

    This also clears those that a tile computed, so that the result does not depend on tiles.
    """
    if kept is None:
        return
    values["classes"][~kept] = 0
    if "probabilities" in values:
        values["probabilities"][:, ~kept] = 0
        values["probabilities"][0, ~kept] = 255


def count_classes(values: Mapping[Output, np.ndarray], num_classes: int) -> list[int]:
    """Number of voxels of each class."""
    labels = values["classes"]
    if num_classes > _FEW_CLASSES:
        return list(map(int, np.bincount(labels.ravel(), minlength=num_classes)))
    if num_classes == 2:
        others = [int(np.count_nonzero(labels))]
    else:
        others = [int(np.count_nonzero(labels == number)) for number in range(1, num_classes)]
    return [labels.size - sum(others), *others]
