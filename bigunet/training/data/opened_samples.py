"""Pairs of paths become samples: opened, normalised, with the spacing of their voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bigunet.errors import OptionError
from bigunet.io.sources.connected import ConnectedLabels
from bigunet.io.sources.pairs import Pair, open_pair
from bigunet.io.sources.source import Source
from bigunet.model.inference.inputs import GreyRange
from bigunet.training.data.samples import Sample
from bigunet.training.train_options import TrainOptions


def open_samples(
    pairs: Sequence[Pair], options: TrainOptions, on_pair: Callable[[], None]
) -> list[Sample]:
    """Open pairs of images and labels.

    Parameters
    ----------
    pairs : sequence of Pair
    options : TrainOptions
    on_pair : callable
        Called after each pair.

    Raises
    ------
    BigUNetError
        If an image or its labels cannot be read, or do not fit together.
    """
    samples = []
    for pair in pairs:
        image, labels = open_pair(
            pair, level=options.level, channels=options.channels or None, ignore=options.ignore
        )
        grey_range, medians = grey_range_of(image, options)
        spacing = _spacing(image, options)
        samples.append(Sample(image, labels, grey_range, spacing=spacing, medians=medians))
        on_pair()
    return samples


def with_connected_labels(samples: Sequence[Sample], ndim: int) -> list[Sample]:
    """The samples with labels in which connected voxels of one value are one object each."""
    return [replace(s, labels=ConnectedLabels(s.labels, ndim)) for s in samples]


def grey_range_of(image: Source, options: TrainOptions) -> tuple[GreyRange, tuple[float, ...]]:
    """The grey range that ``segment`` would use too, and the place of each median in it.

    Where all values of a channel are equal, its grey range has the width 1.
    """
    if options.normalise == "fixed":
        number = image.num_channels
        return GreyRange((float(options.low),) * number, (float(options.high),) * number), ()
    channels = image.percentiles((options.low, options.high, 50.0))
    low = tuple(float(values[0]) for values in channels)
    high = tuple(float(b if b > a else a + 1) for a, b, _ in channels)
    medians = tuple((values[2] - a) / (b - a) for values, a, b in zip(channels, low, high))
    return GreyRange(low, high), medians


def _spacing(image: Source, options: TrainOptions) -> tuple[float, ...]:
    size = options.voxel_size_um or image.scale_um
    if not size:
        return (1.0,) * len(image.shape)
    space = [axis for axis in image.axes if axis in "zyx"]
    if len(size) != len(space):
        raise OptionError(f"voxel_size_um has {len(size)} axes, {image.url} has {', '.join(space)}")
    smallest = min(size)
    # Axes that are not space, such as time, come first and have no size.
    return (1.0,) * (len(image.shape) - len(size)) + tuple(s / smallest for s in size)
