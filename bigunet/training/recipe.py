"""The recipe of a training: every number that decides the weights, apart from data and network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bigunet.errors import TrainingError
from bigunet.options.choices import (
    Optimiser,
    SampleBy,
    Schedule,
    ScoreName,
    TargetKind,
    TrainingPrecision,
)
from bigunet.options.composed_kinds import Optional
from bigunet.options.option_fields import check_fields, documented, option
from bigunet.options.option_kinds import Choice, Number, Whole
from bigunet.options.short_repr import changed_repr
from bigunet.training.augmentation import Augmentation, Changes

STEPS, LOSS = "Steps and learning rate", "Loss and patches"
VALIDATION = "Validation"
_W0 = 10.0


@documented
@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained. Batch, momentum and weight map have the numbers of the paper.

    Raises
    ------
    TrainingError
        If a number is out of its range.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28, section 3.
    """

    steps: int = option(
        10_000, Whole(), "Number of batches, unless --minutes ends the run.", section=STEPS
    )
    minutes: float = option(
        0.0,
        Number(),
        "End the run by the clock, after so many minutes, in place of --steps.",
        section=STEPS,
        more="The clock then drives the learning rate, too. This is for comparisons at equal "
        "time: such a run does not repeat to the same weights. 0 leaves it to the steps.",
    )
    batch: int = option(1, Whole(), "Number of patches per step and process.", section=STEPS)
    patch: int = option(
        388,
        Whole(),
        "Smallest side of the part of a patch that the loss sees, in voxels. The context that the "
        "network needs is added to it.",
        section=LOSS,
    )
    optimiser: Optimiser = option(
        "sgd", Choice(Optimiser), "Method that updates the weights.", section=STEPS
    )
    learning_rate: float = option(1e-3, Number(), "Highest learning rate.", section=STEPS)
    momentum: float = option(
        0.99,
        Number(),
        "Momentum of SGD.",
        section=STEPS,
        more="With the paper's 0.99, many past patches decide each update, although a batch is "
        "one patch.",
    )
    weight_decay: float = option(
        0.0, Number(), "Strength of the pull of the weights towards 0.", section=STEPS
    )
    schedule: Schedule = option(
        "cosine",
        Choice(Schedule),
        "Course of the learning rate after the warm-up: constant, or half a cosine down to 0.002 "
        "of the highest.",
        section=STEPS,
    )
    warm_up: float = option(
        0.05,
        Number(),
        "Share of the run in which the learning rate rises to its highest.",
        section=STEPS,
    )
    clip: float = option(1.0, Number(), "Largest norm of the gradient.", section=STEPS)
    averaging: float = option(
        0.99,
        Number(),
        "Decay, per step, of the running average of the weights that is validated and kept; 0 "
        "keeps the last weights.",
        section=STEPS,
    )
    freeze_statistics: float = option(
        1.0,
        Number(),
        "Share of the run after which batch normalisation keeps its averaged statistics, as it "
        "does in a segmentation; 1 means never.",
        section=STEPS,
    )
    border_weight: float | None = option(
        None,
        Optional(Number()),
        "Weight w0 of the borders between objects, in the paper's weight map; 0 leaves it out.",
        section=LOSS,
        usual="10, and 0 for boundaries in 3D",
        more="For boundaries in 3D, a distance transform for each segment would take longer than "
        "the step, and the class boundary keeps segments apart without it.",
    )
    border_sigma: float = option(
        5.0, Number(), "Width sigma of the borders in the weight map, in voxels.", section=LOSS
    )
    class_balance: float = option(
        1.0,
        Number(),
        "Power of the inverse class frequency that weights each class: 1 balances the classes, 0 "
        "does not.",
        section=LOSS,
    )
    sample_by: SampleBy = option(
        "voxels",
        Choice(SampleBy),
        "Which images give more patches: those with more voxels, all the same, or those with more "
        "objects.",
        section=LOSS,
    )
    precision: TrainingPrecision = option(
        "fp32", Choice(TrainingPrecision), "Number format of the convolutions.", section=STEPS
    )
    validate_every: int = option(
        500, Whole(), "Number of steps between two validations.", section=VALIDATION
    )
    patience: int = option(
        0,
        Whole(),
        "Number of validations without a better score after which the run ends early; 0 means "
        "never.",
        section=VALIDATION,
    )
    score: ScoreName = option(
        "auto",
        Choice(ScoreName),
        "Score of a validation. auto takes average precision at IoU 0.5 for cells, V^Rand for "
        "boundaries, mean Dice for classes.",
        section=VALIDATION,
    )
    seed: int = option(0, Whole(), "Seed of all random numbers.", section=STEPS)
    augmentation: Augmentation = option(
        Augmentation(),
        Changes(),
        "Change of a number of the augmentation, like elastic_voxels=4 or scale=0.7,1.4.",
        section=LOSS,
        flag="--augment",
        usual="that of the class Augmentation",
    )

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_fields(self, TrainingError)
        for name in ("steps", "batch", "patch", "validate_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; give at least 1")
        for name in ("minutes", "weight_decay", "border_weight", "class_balance", "patience"):
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; give 0 or more")
        for name in ("learning_rate", "clip", "border_sigma"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; give a positive number")
        for name in ("momentum", "averaging", "warm_up"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; give 0 to below 1")
        if not 0 <= self.freeze_statistics <= 1:
            raise TrainingError(
                f"freeze_statistics is {self.freeze_statistics}; give a share from 0 to 1"
            )
        if self.seed < 0:
            raise TrainingError(f"seed is {self.seed}; give 0 or more")

    def border_weight_of(self, kind: TargetKind, ndim: int) -> float:
        """Weight w0 of the borders, for a target and the number of axes of a network.

        >>> Recipe().border_weight_of("cells", 3), Recipe().border_weight_of("boundaries", 3)
        (10.0, 0.0)
        """
        if self.border_weight is not None:
            return self.border_weight
        return 0.0 if kind == "boundaries" and ndim == 3 else _W0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any]) -> Recipe:
        """The recipe written by :meth:`to_dict`, back from JSON."""
        return cls(**numbers)
