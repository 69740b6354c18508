"""Train a network on labelled images: the public function; ``run/learn.py`` runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from bigunet.errors import OptionError
from bigunet.event_bar import drawn
from bigunet.events import OnTrainEvent, TrainEvent
from bigunet.machine.locks import folder_lock
from bigunet.machine.processes import leave_if_imported_again
from bigunet.model.inference.hardware import device_of, native_precision
from bigunet.options.choices import Existing, PresetName
from bigunet.options.option_fields import check_keywords, with_keywords
from bigunet.options.option_kinds import check_existing
from bigunet.training.presets import preset_fields, preset_values
from bigunet.training.recipe import Recipe
from bigunet.training.run.run_file import write_run_file
from bigunet.training.run.start import start_run
from bigunet.training.run.train_report import TrainReport
from bigunet.training.run.training_run import TrainingRun
from bigunet.training.train_keywords import TrainKeywords
from bigunet.training.train_options import TrainOptions


def train(
    images: str | Path,
    labels: str | Path,
    *,
    out: str | Path,
    options: TrainOptions | None = None,
    recipe: Recipe | None = None,
    validation: tuple[str | Path, str | Path] | float | None = None,
    card: Mapping[str, Any] | None = None,
    weight_cache: str | Path = "",
    existing: Existing = "refuse",
    preset: PresetName | None = None,
    on_event: OnTrainEvent | None = None,
    progress: bool = False,
    **fields: Unpack[TrainKeywords],
) -> TrainReport:
    """Train a network as the U-Net paper does, on ten images or many.

    Parameters
    ----------
    images, labels : path
        OME-Zarr, TIFF or PNG: one image and its labels, two folders with files of the same
        names, or a table (CSV) with the columns ``image`` and ``labels``.
    out : path
        Model file to write, ``.safetensors``; the training record goes into the folder of the
        same name that ends in ``.training``.
    options : TrainOptions, optional
        The network, the target, and how images are read.
    recipe : Recipe, optional
        How to train.
    validation : pair of path, or float, optional
        Images and labels to validate on; or the share of the other images to keep apart for it.
    card : mapping, optional
        The model's card: data, licence, intended use, limits.
    weight_cache : path, optional
        Folder that keeps the border term of the weight map, which is computed once for whole
        images, box by box. Without this folder, it is computed for each patch.
    existing : {"refuse", "resume", "overwrite"}
        What to do if the model or its record exists.
    preset : {"laptop", "gpu", "paper"}, optional
        Sets network and recipe for minutes on a laptop, for a GPU, or as in the paper. Keywords
        win over it. The presets for machines take bf16 where the hardware computes in it.
    on_event : callable, optional
        Called with an event at the beginning, after each step and validation, and during each
        other stage.
    progress : bool
        Whether to draw a progress bar: a widget in a notebook, else text on stderr.
    **fields
        Fields of TrainOptions and Recipe, such as ``target="classes", steps=2000``.

    Returns
    -------
    TrainReport

    Raises
    ------
    BigUNetError
        One of its subclasses, for every error that the caller can do something about.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
    """
    leave_if_imported_again()
    options, recipe, pair = _chosen(options, recipe, validation, preset, fields)
    run = TrainingRun(
        images=str(images),
        labels=str(labels),
        path=Path(out),
        options=options,
        recipe=recipe,
        validation=pair,
        card=dict(card or {}),
        weight_cache=str(weight_cache),
        existing=check_existing(existing),
        preset=preset,
    )
    run.check_place()
    with (
        folder_lock(run.folder, run.busy_message),
        drawn(on_event, progress=progress) as hear,
    ):
        run.check_files()
        report = start_run(run, hear or _ignore)
        write_run_file(run, preset_fields=preset_fields(preset))
        return report


def of_preset(preset: PresetName, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a preset sets on this machine, beside the fields that are given.

    Parameters are those of :func:`train`.

    Raises
    ------
    OptionError
        If there is no such preset, or no such device.
    """
    device = device_of(fields.get("device", "auto"))
    return preset_values(preset, fields, bf16=native_precision(device) == "bf16")


def _chosen(
    options: TrainOptions | None,
    recipe: Recipe | None,
    validation: tuple[str | Path, str | Path] | float | None,
    preset: PresetName | None,
    fields: Mapping[str, Any],
) -> tuple[TrainOptions, Recipe, tuple[str, ...]]:
    """Options and recipe with their keywords, and the images and labels to validate on."""
    check_keywords(train, fields, TrainOptions, Recipe)
    pair: tuple[str, ...] = ()
    if preset is not None:
        if options is not None or recipe is not None:
            # It is not known which values of an object were meant, and which are defaults.
            raise OptionError(
                f"preset {preset} goes with keywords, such as width=32: give them in place of "
                "options and recipe"
            )
        fields = {**of_preset(preset, fields), **fields}
    if isinstance(validation, tuple | list):
        pair = tuple(str(path) for path in validation)
    elif validation is not None:
        fields = {**fields, "validation": validation}
    return (
        with_keywords(TrainOptions, options, fields, train),
        with_keywords(Recipe, recipe, fields, train, name="recipe"),
        pair,
    )


def _ignore(event: TrainEvent) -> None:
    pass
