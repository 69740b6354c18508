"""Validation scores: one number for all segmented samples, higher is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bigunet.io.sources.annotations import is_annotated
from bigunet.labels import instances_of
from bigunet.metrics.matches import Matches
from bigunet.metrics.objects import match_objects
from bigunet.metrics.partitions import v_rand
from bigunet.metrics.pixels import dice
from bigunet.model.object_description import ObjectDescription
from bigunet.options.choices import ScoreName
from bigunet.training.data.targets import BORDER, CELL, INTERIOR, TargetRule, classes_of
from bigunet.training.segmented_samples import Segmented

SMALLEST_OBJECT = 12
"""Voxels of the smallest object that counts."""


def score_name(rule: TargetRule, name: ScoreName) -> str:
    """The name of the score, where ``auto`` is the usual score of the target."""
    if name != "auto":
        return name
    return {"cells": "average-precision", "boundaries": "v-rand", "classes": "dice"}[rule.kind]


def score_of(samples: Iterable[Segmented], rule: TargetRule, name: str) -> float:
    """Score of segmented samples, 0 to 1; each sample is used once.

    Average precision counts the objects of all samples together; V^Rand and Dice are means.
    Where nobody annotated, class 0 replaces the network's class, so that the network's class
    there cannot change a score. Samples without an annotated voxel are left out.

    Returns
    -------
    float
        NaN if there is nothing to score.
    """
    matches, any_known = Matches(), False
    scores: list[float] = []
    for one in samples:
        known = is_annotated(one.truth)
        if not known.any():
            continue
        any_known = True
        classes = np.where(known, one.classes, 0)
        if name == "average-precision":
            objects = np.where(known, objects_of(classes, rule), 0)
            matches += match_objects(np.where(known, one.truth, 0), objects)
            continue
        truth = classes_of(one.truth, rule)
        if name == "v-rand":
            scores.append(v_rand(classes == INTERIOR, truth == INTERIOR))
        else:
            classes, truth = classes[known], truth[known]
            scores += [dice(classes == c, truth == c) for c in range(rule.num_classes)]
    if name == "average-precision" and any_known:
        return matches.average_precision
    numbers = [score for score in scores if not np.isnan(score)]
    return float(np.mean(numbers)) if numbers else np.nan


def objects_of(classes: np.ndarray, rule: TargetRule) -> np.ndarray:
    """Numbered objects of the class cell, (*space).

    The smallest objects are left out, and border voxels are given back to the objects beside them.
    """
    return instances_of(
        classes,
        CELL,
        smallest=SMALLEST_OBJECT,
        border=BORDER if rule.border_width else None,
        border_width=rule.border_width,
    )


def described_objects(rule: TargetRule, names: Sequence[str]) -> ObjectDescription | None:
    """What a model file says of the objects that validation scores; None for other targets.

    Parameters
    ----------
    rule : TargetRule
    names : sequence of str
        Names of the rule's classes, in order.
    """
    if rule.kind != "cells":
        return None
    if not rule.border_width:
        return ObjectDescription(names[CELL], smallest=SMALLEST_OBJECT)
    return ObjectDescription(names[CELL], names[BORDER], rule.border_width, SMALLEST_OBJECT)


def equal_labels(first: Iterable[Segmented], second: Iterable[Segmented]) -> float:
    """Share of voxels that have the same class in both."""
    same = total = 0
    for a, b in zip(first, second):
        same += int((a.classes == b.classes).sum())
        total += a.classes.size
    return same / max(1, total)
