"""A picture of training patches: the image, the truth, the weights and the prediction of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bigunet.errors import TrainingError
from bigunet.model.description import SegmentationClass
from bigunet.report.figure import new_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = ("image", "truth", "weight", "prediction")
_CELL_INCHES = 2.4
_LISTED_CLASSES = 8
"""Number of classes in the legend; more would hide the patches."""


@dataclass(frozen=True, slots=True)
class SeenPatch:
    """One training patch and its prediction.

    Parameters
    ----------
    image : ndarray of float, (*space)
        One channel of the input of the network, or only the inner part that is scored.
    classes : ndarray of uint8, (*inner)
        The truth.
    weights : ndarray of float32, (*inner)
        Weight of each voxel in the loss, 0 or more.
    prediction : ndarray of uint8, (*inner)
        The class of the highest score.

    Raises
    ------
    TrainingError
        If there are not 2 or 3 axes, if the other arrays have different shapes, or if the image is
        not larger by the same number of voxels on both sides (0 is allowed).
    """

    image: np.ndarray
    classes: np.ndarray
    weights: np.ndarray
    prediction: np.ndarray

    def __post_init__(self) -> None:
        image, inner = self.image.shape, self.classes.shape
        alike = inner == self.weights.shape == self.prediction.shape
        if not (alike and len(inner) in (2, 3) and len(image) == len(inner)):
            raise TrainingError(
                f"a patch of image {image} with classes {inner}, weights {self.weights.shape} and "
                f"prediction {self.prediction.shape}: give one shape of 2 or 3 axes"
            )
        if any(n < m or (n - m) % 2 for n, m in zip(image, inner)):
            raise TrainingError(
                f"a patch of image {image} with classes {inner}: the image must be as large, or "
                "larger by the same on both sides"
            )


def draw_patches(
    patches: Sequence[SeenPatch], classes: Sequence[SegmentationClass], path: Path
) -> None:
    """Draw patches as a grid of pictures, one row each, as a PNG.

    Each row shows the image (with a frame if the scored part is smaller), the truth in the colours
    of the classes, the weight map, and the prediction. All weight maps have the same scale. Of a
    3D patch, the middle plane is shown.

    Parameters
    ----------
    patches : sequence of SeenPatch
    classes : sequence of SegmentationClass
        The class at position k belongs to value k of the truth and the prediction.
    path : Path

    Raises
    ------
    TrainingError
        If there is no patch, or a patch has a class that ``classes`` does not name.
    OutputError
        If the picture cannot be written.
    """
    _check(patches, classes)
    figure = new_figure(_CELL_INCHES * len(_COLUMNS) + 0.8, _CELL_INCHES * len(patches) + 0.6)
    grid = figure.subplots(len(patches), len(_COLUMNS), squeeze=False)
    heaviest = max(float(patch.weights.max(initial=0)) for patch in patches)
    for row, patch in zip(grid, patches):
        _draw_row(row, patch, classes, heaviest)
    for axes, name in zip(grid[0], _COLUMNS):
        axes.set_title(name, fontsize="medium")
    _name_classes(figure, classes)
    write_figure(figure, path)


def colored(labels: np.ndarray, classes: Sequence[SegmentationClass]) -> np.ndarray:
    """Turn labels (y, x) into a picture in the colours of their classes: uint8, (y, x, 3)."""
    table = np.array([c.rgba[:3] for c in classes], np.uint8)
    return np.asarray(table[labels])


def middle_plane(volume: np.ndarray) -> np.ndarray:
    """The plane (y, x) in the middle of a volume (z, y, x); a plane is returned unchanged."""
    return volume if volume.ndim == 2 else volume[volume.shape[0] // 2]


def _check(patches: Sequence[SeenPatch], classes: Sequence[SegmentationClass]) -> None:
    if not patches:
        raise TrainingError("no patches to draw; give at least one")
    highest = max(int(a.max(initial=0)) for p in patches for a in (p.classes, p.prediction))
    if highest >= len(classes):
        raise TrainingError(
            f"patches hold class {highest}, but only {len(classes)} classes are named; name all"
        )


def _draw_row(
    row: Sequence[Axes],
    patch: SeenPatch,
    classes: Sequence[SegmentationClass],
    heaviest: float,
) -> None:
    for axes in row:
        axes.set_xticks([])
        axes.set_yticks([])
    image, truth, weights, prediction = row
    plane = middle_plane(patch.image)
    low, high = np.percentile(plane, (1, 99.8))
    image.imshow(plane, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    _frame(image, plane.shape, patch.classes.shape[-2:])
    for axes, labels in ((truth, patch.classes), (prediction, patch.prediction)):
        axes.imshow(colored(middle_plane(labels), classes), interpolation="nearest")
    shown = weights.imshow(
        middle_plane(patch.weights),
        cmap="viridis",
        vmin=0,
        vmax=heaviest,
        interpolation="nearest",
    )
    weights.figure.colorbar(shown, ax=weights, shrink=0.9, pad=0.02)


def _frame(axes: Axes, outer: tuple[int, ...], inner: tuple[int, ...]) -> None:
    """Frame the part of the image that was scored."""
    from matplotlib.patches import Rectangle

    if outer == inner:
        return
    # The centre of a voxel is at a whole number.
    y, x = ((n - m) / 2 - 0.5 for n, m in zip(outer, inner))
    axes.add_patch(Rectangle((x, y), inner[1], inner[0], fill=False, color="#e6a019"))


def _name_classes(figure: Figure, classes: Sequence[SegmentationClass]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=c.color, edgecolor="#888888", label=c.name)
        for c in classes[:_LISTED_CLASSES]
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize="small"
    )
