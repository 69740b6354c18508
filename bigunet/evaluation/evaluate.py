"""Scores of predictions against their truth, for one image or a folder of images."""

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
from bigunet.evaluation.numbered_objects import with_objects
from bigunet.evaluation.tallies import (
    BoundaryTally,
    ClassTally,
    ObjectTally,
    Scores,
    Tally,
)
from bigunet.evaluation.voxel_checks import check_voxels
from bigunet.io.sources.pairs import Called, Pair, find_pairs
from bigunet.options.option_fields import chosen
from bigunet.options.short_repr import counted, line_repr
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
        Absolute path or URL.
    scores : dict
        As in :class:`Evaluation`.
    """

    prediction: str
    truth: str
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        return {
            "prediction": self.prediction,
            "truth": self.truth,
            "scores": _rounded(self.scores),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all images together, and of each image.

    Parameters
    ----------
    options : EvaluateOptions
    scores : dict
        For each name a number, or a dict of numbers by class or threshold. Voxels and objects of
        all images are counted together; scores of boundaries are means over planes. A score is
        NaN if there was nothing to score.
    images : tuple of ImageEvaluation
    warnings : tuple of str
        Each line says why the scores may not be what the user meant.
    """

    options: EvaluateOptions
    scores: Scores
    images: tuple[ImageEvaluation, ...]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        single = {name: one for name, one in self.scores.items() if isinstance(one, float)}
        shown = ", ".join(f"{name} {score:.4g}" for name, score in single.items())
        return line_repr(self, self.options.kind, counted(len(self.images), "image"), shown)

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet evaluate --json` prints; NaN becomes null."""
        return {
            **self.options.to_dict(),
            "num_images": len(self.images),
            "scores": _rounded(self.scores),
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

    One whole image is in memory at a time; of a time series, one time point.

    Parameters
    ----------
    prediction : path or URL
        OME-Zarr image or label image, zarr array, TIFF or PNG, or a folder of them. Or a CSV table
        with the columns ``image`` (the prediction) and ``labels`` (the truth). Of an output of
        `segment`, the classes are scored, and with ``kind="instances"`` its numbered objects.
    truth : path or URL
        Labels of the same shape. For a folder of predictions: a folder with files of the same
        names; suffixes may differ.
    options : EvaluateOptions, optional
        What the labels stand for, and which scores are computed.
    **fields
        Fields of EvaluateOptions, such as ``kind="instances"``.

    Returns
    -------
    Evaluation

    Raises
    ------
    BigUNetError
        One of its subclasses, for each problem that the caller can solve.
    """
    options = chosen(EvaluateOptions, options, fields, evaluate)
    tallies, images = [], []
    doubts: dict[str, list[str]] = {}
    for given in find_pairs(prediction, truth, called=_CALLED):
        pair = with_objects(given, options)
        tally, lines = _tally(pair, options)
        tallies.append(tally)
        images.append(
            ImageEvaluation(shown_url(pair.image), shown_url(pair.labels), tally.scores(options))
        )
        for doubt in lines:
            doubts.setdefault(doubt, []).append(shown_url(pair.image))
    total: Tally = reduce(operator.add, tallies)
    if isinstance(total, ObjectTally) and not total.class_seen:
        doubt = f"no voxel of the prediction is of the class {options.object_class}"
        doubts[doubt] = [one.prediction for one in images]
    return Evaluation(options, total.scores(options), tuple(images), _warnings(doubts))


def _tally(pair: Pair, options: EvaluateOptions) -> tuple[Tally, tuple[str, ...]]:
    """The counts of one image, summed over its time points, and doubts about them."""
    kind = _TALLIES[options.kind]
    opened = OpenPair.of(pair, options)
    options = numbered(options, opened.classes, pair.image)
    tallies: list[Tally] = []
    doubts: dict[str, None] = {}
    try:
        for compared in opened.read(options):
            doubts.update(dict.fromkeys(check_voxels(compared, opened, options)))
            tallies.append(kind.of(compared, options))
    except (OptionError, LabelsError, TrainingError) as error:
        raise ImageError(f"{pair.image} against {pair.labels}: {error}") from error
    total: Tally = reduce(operator.add, tallies, kind())
    if isinstance(total, ObjectTally) and options.object_class in opened.classes:
        total = replace(total, class_seen=True)
    return total, tuple(doubts)


def _warnings(doubts: dict[str, list[str]]) -> tuple[str, ...]:
    """A line for each doubt, which names the first prediction and counts the others."""
    return tuple(
        f"{urls[0]}{f' and {len(urls) - 1} more' if len(urls) > 1 else ''}: {doubt}"
        for doubt, urls in doubts.items()
    )


def _rounded(scores: Any) -> Any:
    """Scores as JSON holds them: rounded, and None in place of NaN."""
    if isinstance(scores, dict):
        return {name: _rounded(value) for name, value in scores.items()}
    if isinstance(scores, float):
        return None if math.isnan(scores) else round(scores, _DIGITS)
    return scores
