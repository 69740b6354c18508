"""Judging a network in training: its validation score, and the model file that keeps the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bigunet.io.channels import channel_word
from bigunet.model.architectures import architecture_of
from bigunet.model.description import (
    PALETTE,
    ModelDescription,
    Normalisation,
    SegmentationClass,
)
from bigunet.model.file import load_model, save_model
from bigunet.model.forward import Precision
from bigunet.model.model import Model
from bigunet.model.network import Network
from bigunet.training.calibrate import add_offsets, search_offsets
from bigunet.training.checkpoint import Progress
from bigunet.training.recipe import Recipe
from bigunet.training.samples import Sample
from bigunet.training.validate import (
    equal_labels,
    score_name,
    score_of,
    score_samples,
    segment_samples,
)
from bigunet.urls import shown_url
from bigunet.workflows.training_run.options import TrainOptions
from bigunet.workflows.training_run.training_set import TrainingSet

SAME_LABELS = 0.999
"""Share of voxels on which bf16 must agree with fp32 to be allowed by the model."""
_COMPARED_VOXELS = 2**22
# Of all classes together, kept in memory as float16.
_CALIBRATED_SCORES = 2**29
_NAMES_KEPT = 200


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
    """

    training_set: TrainingSet
    recipe: Recipe
    options: TrainOptions
    card: Mapping[str, Any]
    path: Path
    device: str

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
        return self._score(self._model(module), self.recipe.precision)

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
        score = self._score(model, "fp32") if validation else math.nan
        precisions: tuple[str, ...] = ("fp32",)
        if validation:
            equal = self._bf16_equal(model)
            record |= {"validation_score": round(score, 4), "bf16_equal_labels": round(equal, 6)}
            precisions = ("fp32", "bf16") if equal >= SAME_LABELS else precisions
        record |= {"steps_run": progress.step, "seconds": round(progress.seconds)}
        card = dict(model.description.card)
        if validation:
            card["scores"] = {f"{self.score_name} on validation images": round(score, 4)}
        save_model(
            self.path,
            model.module,
            replace(model.description, training=record, precisions=precisions, card=card),
            half=self.options.half,
        )
        return score

    def _calibrate(self, model: Model) -> list[float]:
        """Set the scores of the classes right, in the model's last layer; what was added.

        On as many images as fit the memory meant for it: those for validation are few, and
        offsets can be best on them by chance.
        """
        assert isinstance(model.module, Network)
        scored = score_samples(
            model,
            [*self.training_set.validation, *self.training_set.samples],
            device=self.device,
            max_voxels=_CALIBRATED_SCORES // len(self.classes),
        )
        rule, name = self.training_set.rule, self.score_name
        offsets, _ = search_offsets(
            lambda tried: score_of((one.seen(tried) for one in scored), rule, name),
            len(self.classes),
        )
        add_offsets(model.module, offsets)
        return list(offsets)

    def model_of_file(self) -> Model:
        """The model as it was kept."""
        return load_model(self.path)

    def _score(self, model: Model, precision: Precision) -> float:
        seen = segment_samples(
            model, self.training_set.validation, device=self.device, precision=precision
        )
        return score_of(seen, self.training_set.rule, self.score_name)

    def _bf16_equal(self, model: Model) -> float:
        samples: list[Sample] = []
        for sample in self.training_set.validation:
            if sum(math.prod(s.image.shape) for s in samples) < _COMPARED_VOXELS:
                samples.append(sample)
        exact, lower = (
            segment_samples(
                model,
                samples,
                device=self.device,
                precision=precision,
                max_voxels=_COMPARED_VOXELS,
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
