"""Types of the options that ``train`` takes as keywords, for type checkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from bigunet.options.choices import (
    DeviceChoice,
    NetworkName,
    NormalisationChoice,
    Optimiser,
    SampleBy,
    Schedule,
    ScoreName,
    TargetKind,
    TrainingPrecision,
)
from bigunet.training.augmentation import Augmentation


class TrainKeywords(TypedDict, total=False):
    """Fields of TrainOptions and Recipe as keywords; sequences stand for tuples.

    The share ``validation`` is a parameter of ``train`` itself.
    """

    network: NetworkName
    ndim: int
    width: int
    depth: int
    batch_norm: bool
    dropout: float
    begin_from: str
    target: TargetKind
    connected: bool
    label_values: Sequence[int]
    ignore: Sequence[int]
    class_names: Sequence[str]
    border_width: int
    level: int
    channels: Sequence[int | str]
    voxel_size_um: Sequence[float]
    normalise: NormalisationChoice
    low: float
    high: float
    loaders: int
    processes: int
    device: DeviceChoice
    calibrate: bool
    half: bool
    name: str
    steps: int
    minutes: float
    batch: int
    patch: int
    optimiser: Optimiser
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: Schedule
    warm_up: float
    clip: float
    averaging: float
    freeze_statistics: float
    border_weight: float | None
    border_sigma: float
    class_balance: float
    sample_by: SampleBy
    precision: TrainingPrecision
    validate_every: int
    patience: int
    score: ScoreName
    seed: int
    augmentation: Augmentation
