"""Options of ``bigunet train``, and the descriptions built from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from bigunet.choices import (
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
from bigunet.errors import OptionError
from bigunet.training.augmentation import Augmentation
from bigunet.training.recipe import Recipe
from bigunet.training.train_options import TrainOptions

F = TypeVar("F", bound=Callable[..., Any])
_RECIPE, _OPTIONS = Recipe(), TrainOptions()


class _Numbers(click.ParamType):  # type: ignore[type-arg]
    """Numbers separated by commas."""

    name = "N,N[,N]"

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._kind(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not numbers separated by commas")


def _option(*names: str, default: Any, help: str, **how: Any) -> Callable[[F], F]:
    return click.option(
        *names, default=default, show_default=default not in ("", (), None), help=help, **how
    )


def _choice(name: str, choices: Any, default: str, help: str) -> Callable[[F], F]:
    return _option(name, type=click.Choice(get_args(choices)), default=default, help=help)


_NETWORK = [
    _choice("--network", NetworkName, _OPTIONS.network, "fcn and sliding-window: for comparison."),
    _option("--ndim", type=int, default=0, help="Axes that the network sees; 0: the image's."),
    _option("--width", default=_OPTIONS.width, help="Channels of the first level."),
    _option("--depth", default=_OPTIONS.depth, help="Poolings."),
    _option("--batch-norm", is_flag=True, default=False, help="Batch normalisation."),
    _option("--dropout", default=_OPTIONS.dropout, help="Share of the channels dropped."),
    _option(
        "--from",
        "begin_from",
        metavar="NAME|PATH",
        default="",
        help="Go on from this model's weights; its network is taken.",
    ),
]
_TARGET = [
    _choice(
        "--target",
        TargetKind,
        _OPTIONS.target,
        "cells: numbered objects become background, cell, border; boundaries: those that fill the "
        "image become boundary, interior; classes: labels are classes already.",
    ),
    _option(
        "--connected",
        is_flag=True,
        default=False,
        help="Labels are masks: connected voxels of one value are an object each.",
    ),
    _option(
        "--label-values",
        type=_Numbers(int),
        default=(),
        help="Label values of the classes, in their order.  [default: all values that occur, "
        "sorted, 32 at most]",
    ),
    _option(
        "--ignore",
        type=int,
        multiple=True,
        default=(),
        metavar="VALUE",
        help="Label of voxels that nobody annotated: loss and scores leave them out. May be "
        "repeated.",
    ),
    _option("--class-name", "class_names", multiple=True, default=(), help="One per class."),
    _option(
        "--border-width", default=_OPTIONS.border_width, help="Of the border class, in voxels."
    ),
]
_IMAGES = [
    _option("--level", default=0, metavar="K", help="Level of the images."),
    _option("--channel", "channels", multiple=True, default=(), metavar="C", help="As in segment."),
    _option(
        "--voxel-size",
        "voxel_size_um",
        type=_Numbers(float),
        default=(),
        help="In micrometres, per spatial axis, where the files do not say it.",
    ),
    _choice(
        "--normalise",
        NormalisationChoice,
        _OPTIONS.normalise,
        "Whether --low and --high are percentiles of each image, or grey values.",
    ),
    _option("--low", default=_OPTIONS.low, help="What becomes 0."),
    _option("--high", default=_OPTIONS.high, help="What becomes 1."),
    _option("--validation", default=_OPTIONS.validation, help="Share of the images kept apart."),
]
_STEPS = [
    _option("--steps", default=_RECIPE.steps, help="Batches in all."),
    _option("--minutes", default=0.0, help="Let the clock end the run instead."),
    _option("--batch", default=_RECIPE.batch, help="Patches per step and process."),
    _option("--patch", default=_RECIPE.patch, help="Voxels per axis that a patch is scored on."),
    _choice("--optimiser", Optimiser, _RECIPE.optimiser, "How weights are updated."),
    _option("--learning-rate", default=_RECIPE.learning_rate, help="At its highest."),
    _option("--momentum", default=_RECIPE.momentum, help="Of SGD."),
    _option("--weight-decay", default=_RECIPE.weight_decay, help="Pull of the weights to 0."),
    _choice("--schedule", Schedule, _RECIPE.schedule, "Of the learning rate."),
    _option("--warm-up", default=_RECIPE.warm_up, help="Share of the run in which it rises."),
    _option("--clip", default=_RECIPE.clip, help="Largest norm of the gradient."),
    _option("--averaging", default=_RECIPE.averaging, help="Decay of the weights' average."),
    _option(
        "--freeze-statistics",
        default=_RECIPE.freeze_statistics,
        help="Share of the run after which batch normalisation uses averaged statistics; 1 never.",
    ),
    _choice("--precision", TrainingPrecision, _RECIPE.precision, "Of the convolutions."),
    _option("--validate-every", default=_RECIPE.validate_every, help="Steps."),
    _option("--patience", default=_RECIPE.patience, help="Validations; 0 never stops early."),
    _choice("--score", ScoreName, _RECIPE.score, "What validation measures."),
    _option("--seed", default=_RECIPE.seed, help="Of all that is random."),
]
_LOSS = [
    _option(
        "--border-weight",
        type=float,
        default=None,
        help="w0 of the weight map.  [default: 10, and 0 for boundaries in 3D]",
    ),
    _option("--border-sigma", default=_RECIPE.border_sigma, help="Its sigma, in voxels."),
    _option("--class-balance", default=_RECIPE.class_balance, help="1 balances classes, 0 not."),
    _choice("--sample-by", SampleBy, _RECIPE.sample_by, "What makes an image be drawn more often."),
    _option(
        "--augment",
        "augmentation",
        metavar="NAME=VALUE",
        multiple=True,
        default=(),
        help="Change a number of the augmentation, like elastic_voxels=4 or scale=0.7,1.4.",
    ),
    _option(
        "--weight-cache",
        metavar="FOLDER",
        default="",
        help="Keep the weight map's border term of whole images there.",
    ),
]
_MACHINE = [
    _choice("--device", DeviceChoice, _OPTIONS.device, "auto: a GPU if there is one."),
    _option("--processes", default=1, help="That share each step, a GPU each where there are."),
    _option("--loaders", default=-1, help="Processes that draw patches ahead; -1 chooses."),
]
_MODEL = [
    _option(
        "--calibrate",
        is_flag=True,
        default=False,
        help="Then shift the scores of the classes to the best score on images of either kind.",
    ),
    _option("--half", is_flag=True, default=False, help="Keep the weights as fp16."),
    _option("--name", default="", help="Of the model; the file's if left out."),
    _option(
        "--card",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        help="JSON file of what the model's card says: data, licence, intended_use, limits.",
    ),
]


def train_options(command: F) -> F:
    """All that describes a training, but images, labels and output."""
    decorators = [*_NETWORK, *_TARGET, *_IMAGES, *_STEPS, *_LOSS, *_MACHINE, *_MODEL]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def options_of(given: Mapping[str, Any]) -> TrainOptions:
    """The description of network, target, images and machine."""
    names = {field.name for field in fields(TrainOptions)}
    return TrainOptions(**{name: value for name, value in given.items() if name in names})


def recipe_of(given: Mapping[str, Any]) -> Recipe:
    """The description of how to train."""
    names = {field.name for field in fields(Recipe)} - {"augmentation"}
    numbers = {name: value for name, value in given.items() if name in names}
    return Recipe(**numbers, augmentation=_augmentation(given["augmentation"]))


def _augmentation(changes: tuple[str, ...]) -> Augmentation:
    augmentation = Augmentation()
    known = {field.name for field in fields(Augmentation)}
    for change in changes:
        name, _, value = change.partition("=")
        if name not in known or not value:
            raise OptionError(
                f"--augment {change} changes nothing; give NAME=VALUE with one of "
                f"{', '.join(sorted(known))}"
            )
        augmentation = replace(augmentation, **{name: _value(change, value)})
    return augmentation


def _value(change: str, text: str) -> Any:
    try:
        numbers = [json.loads(part) for part in text.split(",")]
    except json.JSONDecodeError:
        raise OptionError(f"--augment {change}: {text} is no number, true or false") from None
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def card_of(path: Path | None) -> dict[str, Any]:
    """The model card of ``--card``."""
    if path is None:
        return {}
    try:
        card = json.loads(path.read_text())
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise OptionError(f"{path} is no JSON: {error}") from error
    if not isinstance(card, dict):
        raise OptionError(f"{path} holds {type(card).__name__}; give an object of names and words")
    return card
