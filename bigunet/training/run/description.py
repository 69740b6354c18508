"""The description of a training run, its files beside the model, and the events it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigunet.choices import Existing
from bigunet.errors import OptionError, OutputError, ResumeError
from bigunet.model.files.model_file import is_model_file
from bigunet.training.recipe import Recipe
from bigunet.training.train_options import TrainOptions

_RECORD_FILES = ("checkpoint.safetensors", "curves.csv", "curves.png", "patches.png")


@dataclass(frozen=True, slots=True)
class TrainJob:
    """Everything that a process needs to train; plain data, so that it can be sent to others.

    Parameters
    ----------
    images, labels : str
        As :func:`bigunet.io.sources.pairs.find_pairs` takes them.
    path : Path
        Of the model file.
    options : TrainOptions
    recipe : Recipe
    validation : tuple of str
        Images and labels to validate on; empty keeps a share of the others.
    card : mapping
        What the model's author says of it.
    weight_cache : str
        Folder for the border terms of whole images; empty computes them patch by patch.
    existing : {"refuse", "resume", "overwrite"}
    """

    images: str
    labels: str
    path: Path
    options: TrainOptions = field(default_factory=TrainOptions)
    recipe: Recipe = field(default_factory=Recipe)
    validation: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    weight_cache: str = ""
    existing: Existing = "refuse"

    def __post_init__(self) -> None:
        if self.path.suffix != ".safetensors":
            raise OptionError(f"{self.path} is no name of a model; end it in .safetensors")

    @property
    def folder(self) -> Path:
        """Of the training record, beside the model."""
        return self.path.with_name(f"{self.path.stem}.training")

    @property
    def checkpoint(self) -> Path:
        return self.folder / _RECORD_FILES[0]

    def check_place(self) -> None:
        """Refuse a place that looks like a typing error.

        Raises
        ------
        OutputError
            If neither the model's folder nor the one above it is there.
        """
        above = self.path.absolute().parent.parent
        if not above.is_dir():
            raise OutputError(f"there is no folder {above} to write {self.path} in; make it first")

    def check_files(self) -> None:
        """Refuse to write over another run's files, or what is no model.

        Raises
        ------
        OutputError
            If there is a model or a record, and the run neither continues nor overwrites it; or
            something else under the model's name.
        ResumeError
            If the run to be continued is finished.
        """
        begun, kept = self.checkpoint.exists(), self.path.exists()
        if kept and not is_model_file(self.path):
            raise OutputError(
                f"{self.path} exists and is no model of bigunet: it will not be touched; remove "
                "it yourself or give another path"
            )
        if self.existing == "resume" and kept and not begun:
            raise ResumeError(self._finished())
        if self.existing != "refuse":
            return
        if kept and not begun:
            raise OutputError(self._finished())
        there = [path for path in self._record_files() if path.exists()]
        if there:
            unfinished = "continue its run with --resume, or " if begun else ""
            raise OutputError(f"{there[0]} exists; {unfinished}begin anew with --overwrite")

    def _finished(self) -> str:
        recorded = (self.folder / _RECORD_FILES[-1]).exists()
        told = "is of a finished run" if recorded else "exists, and no checkpoint of its run"
        return (
            f"{self.path} {told}; go on from it with --from {self.path} and another --out, or "
            "begin anew with --overwrite"
        )

    def clear_record(self) -> None:
        """Remove the record of the run that this one overwrites; its model stays until replaced.

        Raises
        ------
        OutputError
            If a file cannot be removed.
        """
        for path in self._record_files():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"cannot remove {path}: {error.strerror}") from error

    def _record_files(self) -> list[Path]:
        return [self.folder / name for name in _RECORD_FILES]


@dataclass(frozen=True, slots=True)
class TrainBegun:
    """Told before the first step.

    Parameters
    ----------
    images, validation_images : int
    patch_shape : tuple of int
        Of the network's input.
    weights : int
        Numbers that are learnt.
    steps_done : int
        By the run that is continued.
    score_name : str
    channels : int
        Of the images, that the network reads.
    one_cut : bool
        Whether the images to validate on are a part of the only one, which is not learned from.
    shared_images : int
        Given to validate on that are learned from, too: their score tells nothing of others.
    equal_channels : str
        First image, if its channels are all the same; else empty.
    kept_model : str
        Path of another run's model, which stays until the first validation; else empty.
    class_shares : mapping of str to float
        Of the annotated voxels, by the value of the labels for classes, by name otherwise.
    annotated_share : float
        Of the voxels to learn from, those that somebody annotated.
    doubts : tuple of str
        What may not be as it was meant; a line each.
    """

    images: int
    validation_images: int
    patch_shape: tuple[int, ...]
    weights: int
    steps_done: int
    score_name: str
    channels: int = 1
    one_cut: bool = False
    shared_images: int = 0
    equal_channels: str = ""
    kept_model: str = ""
    class_shares: Mapping[str, float] = field(default_factory=dict)
    annotated_share: float = 1.0
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepDone:
    """Told after each step.

    Parameters
    ----------
    step : int
        Steps done.
    share : float
        Of the run, 0 to 1.
    loss : float
        Running mean.
    """

    step: int
    share: float
    loss: float


@dataclass(frozen=True, slots=True)
class Validated:
    """Told after each validation.

    Parameters
    ----------
    step : int
    score : float
        NaN without images to validate on.
    kept : bool
        Whether the network is the best so far, and now in the model file.
    looked_at : float
        Share of the voxels of the images to validate on, 0 to 1, that fits a run by the clock.
    """

    step: int
    score: float
    kept: bool
    looked_at: float = 1.0


@dataclass(frozen=True, slots=True)
class AtWork:
    """Told of what takes time besides steps: before them, between them, and after the last.

    Parameters
    ----------
    stage : str
        Such as validation.
    share : float
        Of the stage that is done, 0 to 1.
    """

    stage: str
    share: float


TrainEvent = TrainBegun | StepDone | Validated | AtWork


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a training did.

    Parameters
    ----------
    path : Path
        Of the model.
    record : Path
        Folder of the training record.
    score_name : str
    score : float
        Of the model file's weights on the validation images; NaN without.
    best_step, steps : int
        When the kept weights were reached, and all.
    seconds : float
        Of training, validation left out.
    patches_per_second : float
    waited : float
        Share of the seconds in which the network waited for patches, 0 to 1.
    stopped_early : bool
    weights : int
    class_shares, annotated_share, doubts
        As of :class:`TrainBegun`.
    voxel_size_um : tuple of float
        That the model was trained at; empty if unknown.
    """

    path: Path
    record: Path
    score_name: str
    score: float
    best_step: int
    steps: int
    seconds: float
    patches_per_second: float
    waited: float
    stopped_early: bool
    weights: int
    class_shares: Mapping[str, float] = field(default_factory=dict)
    annotated_share: float = 1.0
    doubts: tuple[str, ...] = ()
    voxel_size_um: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON that `bigunet train --json` prints; no score is null."""
        return {
            "model": str(self.path),
            "record": str(self.record),
            "score_name": self.score_name,
            "score": None if self.score != self.score else round(self.score, 4),
            "best_step": self.best_step,
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "patches_per_second": round(self.patches_per_second, 3),
            "waited_share": round(self.waited, 4),
            "stopped_early": self.stopped_early,
            "weights": self.weights,
            "classes": {name: round(share, 6) for name, share in self.class_shares.items()},
            "annotated_share": round(self.annotated_share, 6),
            "voxel_size_um": list(self.voxel_size_um) or None,
            "warnings": list(self.doubts),
        }
