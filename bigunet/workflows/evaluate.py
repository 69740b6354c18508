"""Score predictions against the truth: of one image, or of a folder's."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from bigunet.errors import ImageError, OptionError, TrainingError
from bigunet.io.pairs import Pair, find_pairs
from bigunet.workflows.evaluation.options import EvaluateOptions
from bigunet.workflows.evaluation.pairs import OpenPair
from bigunet.workflows.evaluation.scores import (
    BoundaryTally,
    ClassTally,
    ObjectTally,
    Scores,
    Tally,
)

_DIGITS = 6
_TALLIES: Mapping[str, type[ClassTally] | type[ObjectTally] | type[BoundaryTally]] = {
    "classes": ClassTally,
    "instances": ObjectTally,
    "boundaries": BoundaryTally,
}


@dataclass(frozen=True, slots=True)
class ImageEvaluation:
    """Scores of one image.

    Parameters
    ----------
    prediction, truth : str
        Absolute paths or URLs.
    scores : dict
        As those of :class:`Evaluation`.
    """

    prediction: str
    truth: str
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        return {
            "prediction": self.prediction,
            "truth": self.truth,
            "scores": _told(self.scores),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all images together, and of each.

    Parameters
    ----------
    options : EvaluateOptions
    scores : dict
        By name, a number, or numbers by class or threshold. Voxels and objects of all images are
        counted together; those of boundaries are means over planes. NaN where there was nothing
        to score.
    images : tuple of ImageEvaluation
    """

    options: EvaluateOptions
    scores: Scores
    images: tuple[ImageEvaluation, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet evaluate --json` prints; null for NaN."""
        return {
            **self.options.to_dict(),
            "num_images": len(self.images),
            "scores": _told(self.scores),
            "images": [image.to_dict() for image in self.images],
        }


def evaluate(
    prediction: str | Path,
    truth: str | Path,
    *,
    options: EvaluateOptions | None = None,
) -> Evaluation:
    """Score a prediction against the truth.

    One image is in memory at a time, whole, of a time series one time point.

    Parameters
    ----------
    prediction : path or URL
        OME-Zarr image or label image, zarr array, TIFF or PNG, or a folder of them; also a CSV
        table with the columns ``image``, the predictions, and ``labels``.
    truth : path or URL
        Labels of the same shape; for a folder, a folder whose files have the same names but for
        the suffix.
    options : EvaluateOptions, optional
        What the labels are, and what is computed.

    Returns
    -------
    Evaluation

    Raises
    ------
    BigUNetError
        One of its subclasses, for all that the caller can do something about.
    """
    options = options or EvaluateOptions()
    tallies, images = [], []
    for pair in find_pairs(prediction, truth):
        tally = _tally(pair, options)
        tallies.append(tally)
        images.append(ImageEvaluation(pair.image, pair.labels, tally.scores(options)))
    total: Tally = reduce(operator.add, tallies)
    return Evaluation(options, total.scores(options), tuple(images))


def _tally(pair: Pair, options: EvaluateOptions) -> Tally:
    """What is counted of one image, all its time points together."""
    kind = _TALLIES[options.kind]
    opened = OpenPair.of(pair, options)
    try:
        parts = [kind.of(compared, options) for compared in opened.read(options)]
    except (OptionError, TrainingError) as error:
        raise ImageError(f"{pair.image} against {pair.labels}: {error}") from error
    total: Tally = reduce(operator.add, parts, kind())
    return total


def _told(scores: Any) -> Any:
    if isinstance(scores, dict):
        return {name: _told(value) for name, value in scores.items()}
    if isinstance(scores, float):
        return None if math.isnan(scores) else round(scores, _DIGITS)
    return scores
