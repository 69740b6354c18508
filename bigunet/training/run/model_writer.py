"""The model file of a training run: weights, description, and the record of how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bigunet.io.images.channels import channel_word
from bigunet.model.description import PALETTE, ModelDescription, SegmentationClass
from bigunet.model.files.model_file import load_model, save_model
from bigunet.model.model import Model
from bigunet.model.networks.architectures import architecture_of
from bigunet.model.networks.network import Network
from bigunet.model.normalisation import Normalisation
from bigunet.options.choices import PresetName
from bigunet.training.checkpoint import TrainingState
from bigunet.training.data.training_set import TrainingSet
from bigunet.training.recipe import Recipe
from bigunet.training.train_options import TrainOptions
from bigunet.training.validate import described_objects, score_name
from bigunet.urls import shown_url

_MOST_NAMES = 200
"""Names of validation images that a model file records, at most."""


@dataclass(frozen=True)
class ModelWriter:
    """Describes the network of a run, and writes its model file.

    Parameters
    ----------
    training_set : TrainingSet
    recipe : Recipe
    options : TrainOptions
    card : mapping
        What the author says about the model: data, licence, intended use, limits.
    path : Path
        The model file.
    preset : str, optional
        The preset that options and recipe are of.
    """

    training_set: TrainingSet
    recipe: Recipe
    options: TrainOptions
    card: Mapping[str, Any]
    path: Path
    preset: PresetName | None = None

    @property
    def classes(self) -> tuple[SegmentationClass, ...]:
        names = self.options.class_names or self.training_set.rule.class_names
        return tuple(SegmentationClass(n, PALETTE[i % len(PALETTE)]) for i, n in enumerate(names))

    def model_of(self, module: Network) -> Model:
        """A model of a network in training, to validate it."""
        field = module.config.receptive_field()
        description = self._description(module, TrainingState())
        return Model(module.eval(), description, "in training", field)

    def write(self, module: Network, state: TrainingState) -> None:
        """Write the model file."""
        save_model(self.path, module, self._description(module, state), half=self.options.half)

    def rewrite(self, model: Model, description: ModelDescription) -> None:
        """Write the model file again, with another description."""
        save_model(self.path, model.module, description, half=self.options.half)

    def written_model(self) -> Model:
        """The model in the model file."""
        return load_model(self.path)

    def _description(self, module: Network, state: TrainingState) -> ModelDescription:
        classes = self.classes
        return ModelDescription(
            name=self.options.name or self.path.stem,
            architecture=dict(architecture_of(module)),
            classes=classes,
            channels=self._channels(),
            normalisation=Normalisation(
                self.options.normalise, self.options.low, self.options.high
            ),
            voxel_size_um=self.training_set.voxel_size_um or None,
            grey_median=self.training_set.grey_median,
            objects=described_objects(self.training_set.rule, [one.name for one in classes]),
            training=self._training_record(module, state),
            card=dict(self.card),
        )

    def _channels(self) -> tuple[str, ...]:
        count = self.training_set.in_channels
        names = [channel_word(c) for c in self.options.channels]
        return tuple(names) if len(names) == count else tuple(str(k) for k in range(count))

    def _training_record(self, module: Network, state: TrainingState) -> dict[str, Any]:
        names = [Path(shown_url(s.image.url)).name for s in self.training_set.validation]
        source = self.options.begin_from
        return {
            **({"preset": self.preset} if self.preset else {}),
            "recipe": self.recipe.to_dict(),
            # The path of the first model is private; "begun_from" records what that model was.
            "options": self.options.lasting() | {"begin_from": ""},
            "begun_from": record_of(source) if source else None,
            "class_weights": [round(w, 6) for w in self.training_set.class_weights],
            "images": len(self.training_set.samples),
            "validation_images": names[:_MOST_NAMES],
            "step": state.step,
            "patches": state.step * self.recipe.batch * self.options.processes,
            "seconds": round(state.seconds),
            "score": score_name(self.training_set.rule, self.recipe.score),
            "torch": torch.__version__,
            "weights": sum(p.numel() for p in module.parameters()),
        }


def record_of(source: str) -> dict[str, Any]:
    """Name, digest and training record of a model from which another training begins."""
    model = load_model(source)
    description = model.description
    return {"name": description.name, "sha256": model.digest, "training": description.training}
