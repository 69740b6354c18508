"""Measures what the steps of a model need of the whole image, never of a tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bigunet.errors import ImageError, OptionError
from bigunet.grey.whole import Moments, percentiles_of
from bigunet.io.images.all_voxels import AllVoxels
from bigunet.model.steps import Affine, Clip, Standardise, Step, Stretch
from bigunet.segmentation.plan.pointwise import Pointwise

MEAN = "mean, and mean plus deviation"


def measured_steps(steps: Sequence[Step], voxels: AllVoxels) -> tuple[Pointwise, ...]:
    """What the steps do with the grey values of each channel.

    Mean, deviation and percentiles are those of all finite voxels, after the steps before.

    Raises
    ------
    OptionError
        If the steps state another number of channels.
    ImageError
        If the image has no finite voxel, or cannot be read.
    """
    channels = [Pointwise() for _ in range(voxels.reader.num_channels)]
    for step in steps:
        if isinstance(step, Affine):
            pairs = zip(_each(step.gain, channels), _each(step.offset, channels))
            channels = [one.scaled(*pair) for one, pair in zip(channels, pairs)]
        elif isinstance(step, Clip):
            channels = [one.clipped(step.least, step.greatest) for one in channels]
        elif isinstance(step, Standardise):
            channels = _standardised(step, channels, voxels)
        else:
            channels = _stretched(step, channels, voxels)
    return tuple(channels)


def described_steps(steps: Sequence[Step], voxels: AllVoxels, level: int) -> str:
    """The statistics that the steps need, in words; empty if they need none."""
    words = []
    for step in steps:
        if isinstance(step, Standardise):
            words += [MEAN]
        elif isinstance(step, Stretch):
            words += [f"percentiles {step.low:g} and {step.high:g}"]
    which = "all" if voxels.are_all else "the segmented"
    return f"{' after '.join(reversed(words))} of {which} voxels of level {level}" if words else ""


def _each(values: tuple[float, ...], channels: Sequence[Pointwise]) -> tuple[float, ...]:
    """A number for each channel."""
    if len(values) not in (1, len(channels)):
        raise OptionError(
            f"the model states {len(values)} channels in a step, this run reads {len(channels)}"
        )
    return values * len(channels) if len(values) == 1 else values


def _standardised(
    step: Standardise, channels: list[Pointwise], voxels: AllVoxels
) -> list[Pointwise]:
    moments = [Moments() for _ in channels]
    for channel, part in voxels.passed(range(len(channels))):
        moments[channel] += Moments.of(channels[channel].of(part))
    if step.together:
        moments = [sum(moments, Moments())] * len(channels)
    for one in moments:
        _check_any(one.count, voxels)
    return [
        one.standardised(seen.mean, seen.deviation + step.eps)
        for one, seen in zip(channels, moments)
    ]


def _stretched(step: Stretch, channels: list[Pointwise], voxels: AllVoxels) -> list[Pointwise]:
    groups = [[k] for k in range(len(channels))]
    if step.together:
        if len(set(channels)) > 1:
            raise OptionError(
                "the model scales each channel by itself, and then all by common percentiles; "
                "give --grey-range LOW:HIGH for each channel"
            )
        groups = [list(range(len(channels)))]
    stretched = []
    for group in groups:
        low, high = _percentiles(step, channels[group[0]], group, voxels)
        stretched += [channels[k].standardised(low, high - low + step.eps) for k in group]
    return stretched


def _percentiles(
    step: Stretch, before: Pointwise, group: Sequence[int], voxels: AllVoxels
) -> tuple[float, float]:
    """The two percentiles of the inputs that the steps before give."""

    def passes() -> Iterator[np.ndarray]:
        return (part for _, part in voxels.passed(group))

    percents = (step.low, step.high)
    if before.span < 0:
        percents = (100 - step.low, 100 - step.high)
    grey = percentiles_of(passes, percents)
    _check_any(len(grey), voxels)
    low, high = before.of(np.array(grey)).tolist()
    return low, high


def _check_any(count: int, voxels: AllVoxels) -> None:
    if not count:
        raise ImageError(f"{voxels.reader.url} has no finite voxel: choose another channel")
