"""The progress bar of a training on stderr: loss, validation score, time left."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import click
from bigunet_cli.stage_bar import StageBar
from tqdm import tqdm

from bigunet.events import AtWork, StepDone, TrainBegun, TrainEvent, Validated

_FORMAT = "training {percentage:3.0f}%|{bar}| {desc}{postfix} {remaining} left"


class TrainingBar:
    """Draws the events of a training; without a terminal, prints a line for each validation."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: tqdm[Any] | None = None
        self._stages = StageBar()
        self._score = ""
        self._score_name = "score"
        self._loss = math.nan
        self._is_part_said = False

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stages.close()
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def __call__(self, event: TrainEvent) -> None:
        """Draw one event."""
        if not self._shown:
            if isinstance(event, TrainBegun):
                _warn(event)
            return
        if isinstance(event, TrainBegun):
            self._begin(event)
        elif isinstance(event, StepDone):
            self._advance(event)
        elif isinstance(event, AtWork):
            self._stages(event)
        else:
            self._say_score(event)

    def _begin(self, event: TrainBegun) -> None:
        for line in _beginning(event):
            click.echo(line, err=True)
        if event.steps_done:
            click.echo(f"going on from step {event.steps_done}", err=True)
        self._score_name = event.score_name
        self._bar = tqdm(total=1.0, bar_format=_FORMAT, disable=None)

    def _advance(self, event: StepDone) -> None:
        self._loss = event.loss
        if self._bar is None:
            return
        self._bar.set_description_str(f"step {event.step}", refresh=False)
        self._bar.set_postfix_str(f"loss {event.loss:.4f}{self._score}", refresh=False)
        self._bar.update(event.share - self._bar.n)

    def _say_score(self, event: Validated) -> None:
        if math.isnan(event.score):
            return
        self._score = f", {self._score_name} {event.score:.3f}"
        if self._bar is None or self._bar.disable:
            kept = ", kept" if event.kept else ""
            click.echo(f"step {event.step}: loss {self._loss:.4f}{self._score}{kept}", err=True)
        if event.looked_at < 1 and not self._is_part_said:
            self._is_part_said = True
            tqdm.write(
                f"validation looks at {event.looked_at:.1%} of the images' voxels, as fits the "
                "minutes; with --steps it looks at all",
                file=sys.stderr,
            )


def _beginning(event: TrainBegun) -> Iterator[str]:
    """Lines about images, classes and weights, and about what may be a mistake."""
    patch = " × ".join(map(str, event.patch_shape))
    yield (
        f"{_images(event)}; {_count(event.channels, 'channel')}, {event.weights:,} weights, "
        f"patches of {patch} voxels"
    )
    shares = ", ".join(f"{name} ({_percent(part)})" for name, part in event.class_shares.items())
    left_out = 1 - event.annotated_share
    yield f"classes: {shares}" + (f"; not annotated: {_percent(left_out)}" if left_out else "")
    for doubt in event.doubts:
        yield f"Warning: {doubt}"
    if event.equal_channels:
        yield (
            f"the {event.channels} channels of {event.equal_channels} are the same: --channel 0 "
            "would train on one"
        )
    if event.shared_images:
        yield (
            f"Warning: {event.shared_images} of {_count(event.validation_images, 'image')} to "
            "validate on are learned from, too: the score tells nothing of other images"
        )
    if event.kept_model:
        yield f"{event.kept_model} stays that of the run before until the first validation"


def _warn(event: TrainBegun) -> None:
    """Print the warnings, which ``--quiet`` does not suppress."""
    for line in _beginning(event):
        if line.startswith("Warning: "):
            click.echo(line, err=True)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _images(event: TrainBegun) -> str:
    if event.one_cut:
        return "1 image to learn from; a part of it is kept apart to validate on"
    apart = event.validation_images or "none"
    return f"{_count(event.images, 'image')} to learn from, {apart} to validate on"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
