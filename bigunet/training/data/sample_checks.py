"""Checks of opened samples: their axes, their channels, and whether they suit the target."""

from __future__ import annotations

from collections.abc import Sequence

from bigunet.errors import OptionError, TrainingError
from bigunet.io.sources.source import Source
from bigunet.options.choices import ScoreName
from bigunet.training.data.doubts import middle_of
from bigunet.training.data.samples import Sample
from bigunet.training.train_options import TrainOptions


def network_ndim(image: Source, options: TrainOptions) -> int:
    """Number of axes that the network sees.

    Raises
    ------
    OptionError
        If the image has fewer spatial axes.
    """
    spatial = sum(axis in "zyx" for axis in image.axes)
    ndim = options.ndim or min(3, spatial)
    if ndim > spatial:
        raise OptionError(
            f"{image.url} has the axes {', '.join(image.axes)}; a network of {ndim} axes sees more"
        )
    return ndim


def check_alike(samples: Sequence[Sample], ndim: int) -> None:
    """Raise TrainingError for the first sample with other channels, or with too few axes."""
    first = samples[0].image
    for sample in samples[1:]:
        if sample.image.num_channels != first.num_channels:
            raise TrainingError(
                f"{sample.image.url} has {sample.image.num_channels} channels, {first.url} "
                f"{first.num_channels}; name the channels to read"
            )
        if sum(axis in "zyx" for axis in sample.image.axes) < ndim:
            raise TrainingError(
                f"{sample.image.url} has the axes {', '.join(sample.image.axes)}, {first.url} "
                f"{', '.join(first.axes)}; give images of the same kind"
            )


def check_target(samples: Sequence[Sample], options: TrainOptions, score: ScoreName) -> None:
    """Check that target, score and labels fit together.

    Raises
    ------
    OptionError
        If an option does not suit the target.
    TrainingError
        If labels are masks, and the options do not say how to separate objects.
    """
    if options.target == "classes":
        if options.connected:
            raise OptionError("connected objects are for the targets cells and boundaries")
        if score not in ("auto", "dice"):
            raise OptionError(f"score {score} is for the targets cells and boundaries; give dice")
        return
    masks = [s.labels.url for s in samples if s.labels.dtype.kind == "b"]
    if masks and not options.connected:
        raise TrainingError(
            f"{masks[0]} is a mask of true and false, so its objects have no numbers; give "
            "--connected, or --target classes"
        )


def has_equal_channels(image: Source) -> bool:
    """Whether all channels of an image are equal, judged by its middle."""
    if image.num_channels == 1:
        return False
    voxels = image.read(middle_of(image))
    return bool((voxels == voxels[:1]).all() and voxels.min() < voxels.max())
