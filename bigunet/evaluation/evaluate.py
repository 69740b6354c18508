"""Score predictions against the truth: of one image, or of a folder's."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Unpack

from bigunet.errors import ImageError, LabelsError, OptionError, TrainingError
from bigunet.evaluation.class_names import numbered
from bigunet.evaluation.compared import OpenPair
from bigunet.evaluation.evaluate_keywords import EvaluateKeywords
from bigunet.evaluation.evaluate_options import EvaluateOptions
from bigunet.evaluation.tallies import (
    BoundaryTally,
    ClassTally,
    ObjectTally,
    Scores,
    Tally,
)
from bigunet.evaluation.voxel_checks import check_voxels
from bigunet.io.sources.pairs import Called, Pair, find_pairs
from bigunet.option_fields import chosen
from bigunet.urls import shown_url

_CALLED = Called("prediction", "predictions", "truth")
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
    warnings : tuple of str
        What makes it doubtful that the scores are of what was meant; a line each.
    """

    options: EvaluateOptions
    scores: Scores
    images: tuple[ImageEvaluation, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet evaluate --json` prints; null for NaN."""
        return {
            **self.options.to_dict(),
            "num_images": len(self.images),
            "scores": _told(self.scores),
            "warnings": list(self.warnings),
            "images": [image.to_dict() for image in self.images],
        }


def evaluate(
    prediction: str | Path,
    truth: str | Path,
    *,
    options: EvaluateOptions | None = None,
    **fields: Unpack[EvaluateKeywords],
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
    **fields
        Fields of EvaluateOptions, such as ``kind="instances"``.

    Returns
    -------
    Evaluation

    Raises
    ------
    BigUNetError
        One of its subclasses, for all that the caller can do something about.
    """
    options = chosen(EvaluateOptions, options, fields, evaluate)
    tallies, images = [], []
    doubts: dict[str, list[str]] = {}
    for pair in find_pairs(prediction, truth, called=_CALLED):
        tally, doubtful = _tally(pair, options)
        tallies.append(tally)
        images.append(
            ImageEvaluation(shown_url(pair.image), shown_url(pair.labels), tally.scores(options))
        )
        for doubt in doubtful:
            doubts.setdefault(doubt, []).append(shown_url(pair.image))
    total: Tally = reduce(operator.add, tallies)
    if isinstance(total, ObjectTally) and not total.class_seen:
        told = f"no voxel of the prediction is of the class {options.objects_of}"
        doubts[told] = [one.prediction for one in images]
    return Evaluation(options, total.scores(options), tuple(images), _warnings(doubts))


def _tally(pair: Pair, options: EvaluateOptions) -> tuple[Tally, tuple[str, ...]]:
    """What is counted of one image, all its time points together, and doubts about it."""
    kind = _TALLIES[options.kind]
    opened = OpenPair.of(pair, options)
    options = numbered(options, opened.classes, pair.image)
    parts: list[Tally] = []
    doubts: dict[str, None] = {}
    try:
        for compared in opened.read(options):
            doubts.update(dict.fromkeys(check_voxels(compared, opened, options)))
            parts.append(kind.of(compared, options))
    except (OptionError, LabelsError, TrainingError) as error:
        raise ImageError(f"{pair.image} against {pair.labels}: {error}") from error
    total: Tally = reduce(operator.add, parts, kind())
    if isinstance(total, ObjectTally) and options.objects_of in opened.classes:
        total = replace(total, class_seen=True)
    return total, tuple(doubts)


def _warnings(doubts: dict[str, list[str]]) -> tuple[str, ...]:
    """A line for each doubt, with the first of the predictions that it is about."""
    return tuple(
        f"{urls[0]}{f' and {len(urls) - 1} more' if len(urls) > 1 else ''}: {doubt}"
        for doubt, urls in doubts.items()
    )


def _told(scores: Any) -> Any:
    if isinstance(scores, dict):
        return {name: _told(value) for name, value in scores.items()}
    if isinstance(scores, float):
        return None if math.isnan(scores) else round(scores, _DIGITS)
    return scores
