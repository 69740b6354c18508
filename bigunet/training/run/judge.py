"""Judging a network in training: its validation score, and the model file that keeps the best."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bigunet.choices import Precision
from bigunet.io.images.channels import channel_word
from bigunet.model.description import (
    PALETTE,
    ModelDescription,
    Normalisation,
    SegmentationClass,
)
from bigunet.model.files.model_file import load_model, save_model
from bigunet.model.inference.hardware import native_precision
from bigunet.model.model import Model
from bigunet.model.networks.architectures import architecture_of
from bigunet.model.networks.network import Network
from bigunet.training.calibrate import add_offsets, search_offsets
from bigunet.training.checkpoint import Progress
from bigunet.training.data.samples import Sample
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.recipe import Recipe
from bigunet.training.run.budget import Budget, seen_voxels
from bigunet.training.run.work_stages import Counted, OnStage, say_nothing
from bigunet.training.train_options import TrainOptions
from bigunet.training.validate import (
    equal_labels,
    score_name,
    score_of,
    score_samples,
    segment_samples,
)
from bigunet.urls import shown_url

SAME_LABELS = 0.999
"""Share of voxels on which bf16 must agree with fp32 to be allowed by the model."""
_COMPARED_VOXELS = 2**20
# Of all classes together, kept in memory as float16.
_CALIBRATED_SCORES = 2**29
_NAMES_KEPT = 200
_USUAL_TRIES = 8
"""Of offsets, for each class."""
_CALIBRATED_SHARE = 8
"""In a run by the clock: how many times fewer voxels than validation takes calibration, which
scores them many times, and bf16, which is tried on top of all else."""


@dataclass(frozen=True)
class Judge:
    """Scores networks on the images kept apart, and writes the model file.

    Parameters
    ----------
    training_set : TrainingSet
    recipe : Recipe
    options : TrainOptions
    card : mapping
        What the model's author says of it: data, licence, intended use, limits.
    path : Path
        Of the model file.
    device : str
    budget : Budget
        Of validations; it is measured by the first one.
    on_stage : callable
        Told of the stage at work and its share that is done.
    """

    training_set: TrainingSet
    recipe: Recipe
    options: TrainOptions
    card: Mapping[str, Any]
    path: Path
    device: str
    budget: Budget
    on_stage: OnStage = say_nothing

    @property
    def score_name(self) -> str:
        return score_name(self.training_set.rule, self.recipe.score)

    @property
    def classes(self) -> tuple[SegmentationClass, ...]:
        names = self.options.class_names or self.training_set.rule.class_names
        return tuple(SegmentationClass(n, PALETTE[i % len(PALETTE)]) for i, n in enumerate(names))

    def score(self, module: Network) -> float:
        """Validation score of a network; NaN if no image was kept apart."""
        if not self.training_set.validation:
            return math.nan
        began = time.perf_counter()
        score = self._score(self._model(module), self.recipe.precision)
        self.budget.spent += time.perf_counter() - began
        return score

    @property
    def validated_share(self) -> float:
        """Of the voxels of the images to validate on, those that a validation looks at."""
        whole = sum(math.prod(s.image.shape) for s in self.training_set.validation)
        if not whole or (self.budget.is_limited and not self.budget.voxels):
            return 1.0
        return seen_voxels(*self._validated()) / whole

    def keep(self, module: Network, progress: Progress) -> None:
        """Write the model file."""
        save_model(self.path, module, self._described(module, progress), half=self.options.half)

    def finish(self, progress: Progress) -> float:
        """Score the model file as it is, and write into it what it was found to be.

        Returns
        -------
        float
            The score of the file's own weights; NaN without validation.
        """
        model = load_model(self.path)
        validation = self.training_set.validation
        record = dict(model.description.training)
        # A run that was killed after this goes on with a file that has its offsets already.
        if self.options.calibrate and "class_offsets" not in record:
            record["class_offsets"] = self._calibrate(model)
        score = self._final_score(model, progress)
        precisions: tuple[str, ...] = ("fp32",)
        if validation:
            record |= {
                "validation_score": None if math.isnan(score) else round(score, 4),
                "validation_share": round(self.validated_share, 4),
            }
        # Without its instructions bf16 is imitated, at many times the time.
        if validation and native_precision(self.device) == "bf16":
            equal = self._bf16_equal(model)
            record["bf16_equal_labels"] = round(equal, 6)
            precisions = ("fp32", "bf16") if equal >= SAME_LABELS else precisions
        self.on_stage("saving", 0.0)
        record |= {"steps_run": progress.step, "seconds": round(progress.seconds)}
        card = dict(model.description.card)
        if validation and not math.isnan(score):
            card["scores"] = {f"{self.score_name} on validation images": round(score, 4)}
        save_model(
            self.path,
            model.module,
            replace(model.description, training=record, precisions=precisions, card=card),
            half=self.options.half,
        )
        self.on_stage("saving", 1.0)
        return score

    def _final_score(self, model: Model, progress: Progress) -> float:
        """Of the model file: measured, unless its very weights were when they were kept."""
        options = self.options
        if not self.training_set.validation:
            return math.nan
        if options.half or options.calibrate or self.recipe.precision != "fp32":
            return self._score(model, "fp32")
        return progress.best_score

    def _calibrate(self, model: Model) -> list[float]:
        """Set the scores of the classes right, in the model's last layer; what was added.

        On as many images as fit the memory meant for it: those for validation are few, and
        offsets can be best on them by chance.
        """
        assert isinstance(model.module, Network)
        samples = [*self.training_set.validation, *self.training_set.samples]
        most = _CALIBRATED_SCORES // len(self.classes)
        if self.budget.is_limited:
            most = min(most, max(1, self.budget.voxels // _CALIBRATED_SHARE))
        whole = sum(math.prod(sample.image.shape) for sample in samples)
        counted = Counted("scores to calibrate", min(most, whole), self.on_stage)
        scored = score_samples(
            model, samples, device=self.device, max_voxels=most, on_voxels=counted.some
        )
        rule, name = self.training_set.rule, self.score_name
        tries = Counted("calibration", _USUAL_TRIES * len(self.classes), self.on_stage)

        def score(tried: Sequence[float]) -> float:
            tries.one()
            return score_of((one.seen(tried) for one in scored), rule, name)

        offsets, _ = search_offsets(score, len(self.classes))
        add_offsets(model.module, offsets)
        return list(offsets)

    def model_of_file(self) -> Model:
        """The model as it was kept."""
        return load_model(self.path)

    def _score(self, model: Model, precision: Precision) -> float:
        if self.budget.is_limited and not self.budget.voxels:
            first = self.training_set.validation[:1]
            self.budget.measure(
                lambda most: self._score_on(first, most, model, precision), self._patch_voxels
            )
        return self._score_on(*self._validated(), model, precision)

    def _score_on(
        self, samples: Sequence[Sample], most: int, model: Model, precision: Precision
    ) -> float:
        counted = Counted("validation", seen_voxels(samples, most), self.on_stage)
        seen = segment_samples(
            model,
            samples,
            device=self.device,
            precision=precision,
            max_voxels=most,
            on_voxels=counted.some,
        )
        return score_of(seen, self.training_set.rule, self.score_name)

    def _validated(self) -> tuple[list[Sample], int]:
        return self.budget.part_of(self.training_set.validation, self._patch_voxels)

    @property
    def _patch_voxels(self) -> int:
        return int(self.recipe.patch**self.training_set.ndim)

    def _bf16_equal(self, model: Model) -> float:
        most = _COMPARED_VOXELS
        if self.budget.is_limited:
            most = min(most, max(1, self.budget.voxels // _CALIBRATED_SHARE))
        samples: list[Sample] = []
        for sample in self.training_set.validation:
            if sum(math.prod(s.image.shape) for s in samples) < most:
                samples.append(sample)
        counted = Counted("trying bf16", 2 * seen_voxels(samples, most), self.on_stage)
        exact, lower = (
            segment_samples(
                model,
                samples,
                device=self.device,
                precision=precision,
                max_voxels=most,
                on_voxels=counted.some,
            )
            for precision in ("fp32", "bf16")
        )
        return equal_labels(exact, lower)

    def _model(self, module: Network) -> Model:
        field = module.config.receptive_field()
        return Model(module.eval(), self._described(module, Progress()), "in training", field)

    def _described(self, module: Network, progress: Progress) -> ModelDescription:
        return ModelDescription(
            name=self.options.name or self.path.stem,
            architecture=dict(architecture_of(module)),
            classes=self.classes,
            channels=self._channels(),
            normalisation=Normalisation(
                self.options.normalise, self.options.low, self.options.high
            ),
            voxel_size_um=self.training_set.voxel_size_um or None,
            grey_median=self.training_set.grey_median,
            training=self._record(module, progress),
            card=dict(self.card),
        )

    def _channels(self) -> tuple[str, ...]:
        count = self.training_set.in_channels
        given = [channel_word(c) for c in self.options.channels]
        return tuple(given) if len(given) == count else tuple(str(k) for k in range(count))

    def _record(self, module: Network, progress: Progress) -> dict[str, Any]:
        names = [Path(shown_url(s.image.url)).name for s in self.training_set.validation]
        source = self.options.begin_from
        return {
            "recipe": self.recipe.to_dict(),
            # Where that model lay is nobody's business; what it was is told in full.
            "options": self.options.lasting() | {"begin_from": ""},
            "begun_from": record_of(source) if source else None,
            "class_weights": [round(w, 6) for w in self.training_set.class_weights],
            "images": len(self.training_set.samples),
            "validation_images": names[:_NAMES_KEPT],
            "step": progress.step,
            "patches": progress.step * self.recipe.batch * self.options.processes,
            "seconds": round(progress.seconds),
            "score": self.score_name,
            "torch": torch.__version__,
            "weights": sum(p.numel() for p in module.parameters()),
        }


def record_of(source: str) -> dict[str, Any]:
    """What a model was when another training began from it, its own training included."""
    model = load_model(source)
    described = model.description
    return {"name": described.name, "sha256": model.digest, "training": described.training}
