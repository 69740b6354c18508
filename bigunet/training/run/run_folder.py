"""The record of a training run, in a folder beside the model: curves and a picture of patches."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigunet.errors import OutputError
from bigunet.machine.files import replacing
from bigunet.model.description import SegmentationClass
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.score_maps import labels_of
from bigunet.model.model import Model
from bigunet.report.training_curves import draw_curves
from bigunet.report.training_patches import SeenPatch, draw_patches
from bigunet.training.data.patches import PatchSource
from bigunet.training.work_stages import Counted, OnStage, ignore_stage

_COLUMNS = ("step", "loss", "score", "learning_rate", "seconds", "patches_per_second", "waited")
_SHOWN_PATCHES = 4
_MOST_SECONDS = 5.0
"""Time to draw the patches of the picture; the first patch is drawn whatever the time."""
_BETWEEN_DRAWINGS = 20.0
"""Seconds. A picture of the curves takes half a second, and some runs validate each second."""
_FIRST_SHOWN = 2**40
"""Number of the first patch in the picture; training never draws a patch with such a number."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the curves.

    Parameters
    ----------
    step : int
    loss : float
        Mean loss since the row before.
    score : float
        Validation score; NaN in a row without a validation.
    learning_rate : float
    seconds : float
        Time of training so far.
    patches_per_second : float
    waited : float
        Share of the time so far in which the network waited for patches, 0 to 1.
    """

    step: int
    loss: float
    score: float
    learning_rate: float
    seconds: float
    patches_per_second: float
    waited: float


class Record:
    """Files in one folder: ``curves.csv``, ``curves.png``, ``patches.png``.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[Row] = []
        self._drawn = -math.inf

    @property
    def rows(self) -> Sequence[Row]:
        return tuple(self._rows)

    def reopen(self, step: int) -> None:
        """Keep the rows of the first ``step`` steps only: the run continues from there."""
        path = self._folder / "curves.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [_row(fields) for fields in csv.DictReader(file)]
            self._rows = [row for row in rows if row.step <= step]

    def add(self, row: Row) -> None:
        """Add a row, and write all rows."""
        self._rows.append(row)
        path = self._folder / "curves.csv"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (
                replacing(path, sole_writer=True) as partial,
                partial.open("w", newline="", encoding="utf-8") as file,
            ):
                writer = csv.writer(file)
                writer.writerow(_COLUMNS)
                writer.writerows(
                    [_number(getattr(one, name)) for name in _COLUMNS] for one in self._rows
                )
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error}") from error

    def draw(self, *, now: bool = True) -> None:
        """Draw the curves; with ``now=False``, only if the last drawing is some seconds old."""
        if not now and time.monotonic() < self._drawn + _BETWEEN_DRAWINGS:
            return
        rows = [{name: getattr(row, name) for name in _COLUMNS} for row in self._rows]
        if rows:
            draw_curves(rows, self._folder / "curves.png")
            self._drawn = time.monotonic()

    def draw_patches(
        self,
        source: PatchSource,
        model: Model,
        classes: Sequence[SegmentationClass],
        *,
        device: str,
        on_stage: OnStage = ignore_stage,
    ) -> None:
        """Draw some small patches with their truth, their weights, and the network's labels.

        The weights of a volume are drawn without the border term if it was not kept, because to
        compute it takes too long.
        """
        source = source.for_pictures()
        deadline = time.monotonic() + _MOST_SECONDS
        counted = Counted("pictures", _SHOWN_PATCHES, on_stage)
        # Patches are already normalised, so the predictor must not change their values.
        unit = GreyRange((0.0,) * model.in_channels, (1.0,) * model.in_channels)
        predictor = Predictor(model, unit, device=device)
        patches = []
        for index in range(_FIRST_SHOWN, _FIRST_SHOWN + _SHOWN_PATCHES):
            patch = source.draw(index)
            border = model.receptive_field.border
            inner = tuple(slice(b, n - b) for b, n in zip(border, patch.image.shape[1:]))
            labels = labels_of(predictor.scores(patch.image)).cpu().numpy()
            patches.append(SeenPatch(patch.image[0][inner], patch.classes, patch.weights, labels))
            counted.add_one()
            if time.monotonic() > deadline:
                break
        draw_patches(patches, classes, self._folder / "patches.png")
        on_stage("pictures", 1.0)


def _row(fields: Mapping[str, str]) -> Row:
    numbers = {name: float(fields[name] or "nan") for name in _COLUMNS}
    return Row(**{**numbers, "step": int(numbers["step"])})  # type: ignore[arg-type]


def _number(value: float) -> str:
    if isinstance(value, float) and math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else f"{np.float64(value):.6g}"
