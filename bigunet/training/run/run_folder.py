"""The record of a training run, beside the model: curves (CSV, PNG), and what was seen."""

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
from bigunet.model.inference.forward import Predictor, labels_of
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.model import Model
from bigunet.report.training_curves import draw_curves
from bigunet.report.training_patches import SeenPatch, draw_patches
from bigunet.training.data.patches import PatchSource
from bigunet.training.run.work_stages import Counted, OnStage, say_nothing

_COLUMNS = ("step", "loss", "score", "learning_rate", "seconds", "patches_per_second", "waited")
_SHOWN_PATCHES = 4
_MOST_SECONDS = 5.0
"""For the patches of the picture; the first one is always drawn."""
_BETWEEN_DRAWINGS = 20.0
"""Seconds: a picture takes half a second, and some runs validate each second."""
_FIRST_SHOWN = 2**40
"""Numbers of the patches that are shown: none that training draws."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the curves.

    Parameters
    ----------
    step : int
    loss : float
        Mean since the row before.
    score : float
        Of validation; NaN without one.
    learning_rate : float
    seconds : float
        Of training so far.
    patches_per_second : float
    waited : float
        Share of the time so far in which the network waited for patches.
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
        """Go on from the rows of the first ``step`` steps; later ones were not checkpointed."""
        path = self._folder / "curves.csv"
        if path.is_file():
            with path.open(newline="") as file:
                rows = [_row(fields) for fields in csv.DictReader(file)]
            self._rows = [row for row in rows if row.step <= step]

    def add(self, row: Row) -> None:
        """Keep a row, and write all."""
        self._rows.append(row)
        path = self._folder / "curves.csv"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (
                replacing(path, sole_writer=True) as partial,
                partial.open("w", newline="") as file,
            ):
                writer = csv.writer(file)
                writer.writerow(_COLUMNS)
                writer.writerows(
                    [_number(getattr(one, name)) for name in _COLUMNS] for one in self._rows
                )
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error}") from error

    def draw(self, *, now: bool = True) -> None:
        """Draw the curves; if it need not be now, then only some time after the last drawing."""
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
        on_stage: OnStage = say_nothing,
    ) -> None:
        """Draw some small patches with truth, weights and what the network makes of them.

        Where the border term would be computed in a volume it is left out of the weights.
        """
        source = source.for_pictures()
        until = time.monotonic() + _MOST_SECONDS
        counted = Counted("pictures", _SHOWN_PATCHES, on_stage)
        # Patches are normalised already.
        unit = GreyRange((0.0,) * model.in_channels, (1.0,) * model.in_channels)
        predictor = Predictor(model, unit, device=device)
        seen = []
        for index in range(_FIRST_SHOWN, _FIRST_SHOWN + _SHOWN_PATCHES):
            patch = source.draw(index)
            border = model.receptive_field.border
            inner = tuple(slice(b, n - b) for b, n in zip(border, patch.image.shape[1:]))
            found = labels_of(predictor.scores(patch.image)).cpu().numpy()
            seen.append(SeenPatch(patch.image[0][inner], patch.classes, patch.weights, found))
            counted.one()
            if time.monotonic() > until:
                break
        draw_patches(seen, classes, self._folder / "patches.png")
        on_stage("pictures", 1.0)


def _row(fields: Mapping[str, str]) -> Row:
    numbers = {name: float(fields[name] or "nan") for name in _COLUMNS}
    return Row(**{**numbers, "step": int(numbers["step"])})  # type: ignore[arg-type]


def _number(value: float) -> str:
    if isinstance(value, float) and math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else f"{np.float64(value):.6g}"
