"""A training run, described: its images and labels, its files, and what it may overwrite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigunet.errors import OptionError, OutputError, ResumeError
from bigunet.model.files.model_file import is_model_file
from bigunet.options.choices import Existing, PresetName
from bigunet.training.recipe import Recipe
from bigunet.training.train_options import TrainOptions

_RECORD_FILES = ("checkpoint.safetensors", "curves.csv", "curves.png", "patches.png")


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """Everything that a process needs to train: plain data that can be sent to other processes.

    Parameters
    ----------
    images, labels : str
        Paths as :func:`bigunet.io.sources.pairs.find_pairs` takes them.
    path : Path
        The model file.
    options : TrainOptions
    recipe : Recipe
    validation : tuple of str
        Path of the images and path of the labels for validation. If empty, a share of the other
        images is kept apart.
    card : mapping
        What the author says about the model.
    weight_cache : str
        Folder for the border terms of whole images. If empty, border terms are computed patch by
        patch.
    existing : {"refuse", "resume", "overwrite"}
        What to do with the files of an earlier run.
    preset : {"laptop", "gpu", "paper"}, optional
        The preset that some options and numbers of the recipe are of; for the record.
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
    preset: PresetName | None = None

    def __post_init__(self) -> None:
        if self.path.suffix != ".safetensors":
            raise OptionError(f"{self.path} is no name of a model; end it in .safetensors")

    @property
    def folder(self) -> Path:
        """Folder of the training record, beside the model."""
        return self.path.with_name(f"{self.path.stem}.training")

    @property
    def checkpoint(self) -> Path:
        """The checkpoint file, in the folder of the training record."""
        return self.folder / _RECORD_FILES[0]

    def check_place(self) -> None:
        """Refuse a path that looks like a typing error.

        Raises
        ------
        OutputError
            If neither the model's folder nor the folder above it exists.
        """
        above = self.path.absolute().parent.parent
        if not above.is_dir():
            raise OutputError(f"there is no folder {above} to write {self.path} in; make it first")

    def check_files(self) -> None:
        """Refuse to overwrite files of another run, and files that are no model.

        Raises
        ------
        OutputError
            If a model or a record exists, and this run neither continues nor overwrites it. If the
            model's path is a file of another kind.
        ResumeError
            If the run that is to be continued has finished.
        """
        has_checkpoint, has_model = self.checkpoint.exists(), self.path.exists()
        if has_model and not is_model_file(self.path):
            raise OutputError(
                f"{self.path} exists and is no model of bigunet: it will not be touched; remove "
                "it yourself or give another path"
            )
        if self.existing == "resume" and has_model and not has_checkpoint:
            raise ResumeError(self._finished_message())
        if self.existing != "refuse":
            return
        if has_model and not has_checkpoint:
            raise OutputError(self._finished_message())
        existing_files = [path for path in self._record_files() if path.exists()]
        if existing_files:
            resume = "continue its run with --resume, or " if has_checkpoint else ""
            raise OutputError(f"{existing_files[0]} exists; {resume}begin anew with --overwrite")

    def busy_message(self, holder: str) -> str:
        """The message if another process holds the lock on this run; ``holder`` describes it."""
        process = f"another process ({holder})" if holder else "another process"
        return f"{process} is training {self.path}; wait for it, or give another --out"

    def clear_record(self) -> None:
        """Remove the record of the run that this run overwrites.

        The old model stays until the first validation replaces it.

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

    def _finished_message(self) -> str:
        has_record = (self.folder / _RECORD_FILES[-1]).exists()
        what = "is of a finished run" if has_record else "exists, and no checkpoint of its run"
        return (
            f"{self.path} {what}; go on from it with --from {self.path} and another --out, or "
            "begin anew with --overwrite"
        )

    def _record_files(self) -> list[Path]:
        return [self.folder / name for name in _RECORD_FILES]
