"""The recipe of a training run: every number that decides what comes out, but data and network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from bigunet.choices import Optimiser, SampleBy, Schedule, ScoreName, TargetKind, TrainingPrecision
from bigunet.errors import TrainingError
from bigunet.training.augmentation import Augmentation

_W0 = 10.0
_CHOICES: dict[str, Any] = {
    "optimiser": Optimiser,
    "schedule": Schedule,
    "sample_by": SampleBy,
    "precision": TrainingPrecision,
    "score": ScoreName,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. Batch, momentum and the weight map's numbers are those of the paper.

    Parameters
    ----------
    steps : int
        Batches in all, unless ``minutes`` ends the run.
    minutes : float
        Where positive, the clock ends the run and drives the schedule in place of ``steps``: for
        comparisons at equal time. Such a run does not repeat to the same weights.
    batch : int
        Patches per step and process.
    patch : int
        Voxels per spatial axis that a patch is scored on, at least; the context that the network
        needs comes on top.
    optimiser : {"sgd", "adamw"}
    learning_rate : float
        At its highest.
    momentum : float
        Of SGD; the paper's 0.99 lets many past patches decide each update of batches of one.
    weight_decay : float
    schedule : {"constant", "cosine"}
        What follows the rise: half a cosine down to 0.002 of the rate, or nothing.
    warm_up : float
        Share of the run during which the learning rate rises to its highest.
    clip : float
        Largest norm of the gradient.
    averaging : float
        Decay, per step, of the running average of the weights that is validated and kept; 0 keeps
        the last weights themselves.
    freeze_statistics : float
        Share of the run after which batch normalisation keeps the averaged statistics, as the
        network that runs does; 1 never.
    border_weight : float or None
        w0 of the weight map; 0 leaves its border term out. None is 10, and 0 for boundaries in
        3D: there a distance transform for each segment takes longer than the step, and the class
        boundary keeps segments apart without it.
    border_sigma : float
        Sigma of the weight map, in voxels.
    class_balance : float
        Power of the inverse class frequency that weighs each class: 1 balances, 0 does not.
    sample_by : {"voxels", "images", "objects"}
        What makes an image be drawn more often: its size, nothing, or its objects.
    precision : {"fp32", "bf16"}
        Of the convolutions while training.
    validate_every : int
        Steps between two validations.
    patience : int
        Stop after so many validations without a better score; 0 never stops early.
    score : {"auto", "dice", "average-precision", "v-rand"}
        What validation measures. Average precision at IoU 0.5 for cells, V^Rand for boundaries,
        mean Dice for classes, unless it is named.
    seed : int
    augmentation : Augmentation

    Raises
    ------
    TrainingError
        If a number is out of its range.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28, section 3.
    """

    steps: int = 10_000
    minutes: float = 0.0
    batch: int = 1
    patch: int = 388
    optimiser: Optimiser = "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.99
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    warm_up: float = 0.05
    clip: float = 1.0
    averaging: float = 0.99
    freeze_statistics: float = 1.0
    border_weight: float | None = None
    border_sigma: float = 5.0
    class_balance: float = 1.0
    sample_by: SampleBy = "voxels"
    precision: TrainingPrecision = "fp32"
    validate_every: int = 500
    patience: int = 0
    score: ScoreName = "auto"
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise TrainingError(f"{name} is {getattr(self, name)!r}; known: {known}")
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
        """w0 for a target of a network of so many axes.

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
        fields = dict(numbers)
        fields["augmentation"] = Augmentation.from_dict(fields.get("augmentation", {}))
        return cls(**fields)
