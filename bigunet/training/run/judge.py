"""The validation score of a network in training, within the time that validation may take."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bigunet.model.model import Model
from bigunet.options.choices import Precision
from bigunet.training.data.samples import Sample
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.recipe import Recipe
from bigunet.training.run.budget import Budget, seen_voxels
from bigunet.training.segmented_samples import segment_samples
from bigunet.training.validate import score_name, score_of
from bigunet.training.work_stages import Counted, OnStage, ignore_stage


@dataclass(frozen=True)
class Judge:
    """Scores networks on the images that were kept apart.

    Parameters
    ----------
    training_set : TrainingSet
    recipe : Recipe
    device : str
    budget : Budget
        What one validation may take; the first validation measures it.
    on_stage : callable
        Called with the stage at work, and with the share of it that is done.
    """

    training_set: TrainingSet
    recipe: Recipe
    device: str
    budget: Budget
    on_stage: OnStage = ignore_stage

    @property
    def score_name(self) -> str:
        return score_name(self.training_set.rule, self.recipe.score)

    def score(self, model: Model) -> float:
        """Validation score in the precision of training; NaN if no image was kept apart.

        The time that it takes counts against the budget.
        """
        if not self.training_set.validation:
            return math.nan
        began = time.perf_counter()
        score = self.score_in(model, self.recipe.precision)
        self.budget.spent += time.perf_counter() - began
        return score

    def score_in(self, model: Model, precision: Precision) -> float:
        """Validation score in a given precision; it does not count against the budget."""
        if self.budget.is_limited and not self.budget.voxels:
            first = self.training_set.validation[:1]
            self.budget.measure(
                lambda most: self._score_on(first, most, model, precision), self._patch_voxels
            )
        return self._score_on(*self._validated_samples(), model, precision)

    @property
    def validated_share(self) -> float:
        """Share of the voxels for validation that one validation scores."""
        whole = sum(math.prod(s.image.shape) for s in self.training_set.validation)
        if not whole or (self.budget.is_limited and not self.budget.voxels):
            return 1.0
        return seen_voxels(*self._validated_samples()) / whole

    def _score_on(
        self, samples: Sequence[Sample], most: int, model: Model, precision: Precision
    ) -> float:
        counted = Counted("validation", seen_voxels(samples, most), self.on_stage)
        segmented = segment_samples(
            model,
            samples,
            device=self.device,
            precision=precision,
            max_voxels=most,
            on_voxels=counted.add,
        )
        return score_of(segmented, self.training_set.rule, self.score_name)

    def _validated_samples(self) -> tuple[list[Sample], int]:
        return self.budget.part_of(self.training_set.validation, self._patch_voxels)

    @property
    def _patch_voxels(self) -> int:
        return int(self.recipe.patch**self.training_set.ndim)
