"""The training set: pairs of paths become samples, target, class weights, validation part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bigunet.choices import ScoreName
from bigunet.errors import OptionError, TrainingError
from bigunet.io.sources.connected import ConnectedLabels
from bigunet.io.sources.pairs import Pair, find_pairs, open_pair
from bigunet.io.sources.source import Source
from bigunet.model.inference.inputs import GreyRange
from bigunet.training.data.census import (
    Census,
    check_labels,
    label_values,
    refuse_lone_mask,
    take_census,
    weigh,
)
from bigunet.training.data.doubts import doubts_of, middle_of
from bigunet.training.data.samples import Sample
from bigunet.training.data.split import split_samples
from bigunet.training.data.targets import TargetRule
from bigunet.training.data.voxel_sizes import common_voxel_size, doubt_of_sizes
from bigunet.training.data.weight_map import class_weights
from bigunet.training.recipe import Recipe
from bigunet.training.run.work_stages import Counted, OnStage, say_nothing
from bigunet.training.train_options import TrainOptions

_MOST_OF_8_BITS = 250
"""Objects of one image; so many in 8 bits are likely more."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a network is trained on.

    Parameters
    ----------
    samples, validation : tuple of Sample
        To learn from, and kept apart.
    rule : TargetRule
    class_weights : tuple of float
        w_c of the weight map.
    census : Census
        Of the samples to learn from.
    ndim : int
        Axes that the network sees.
    in_channels : int
    voxel_size_um : tuple of float
        Along the network's axes; empty if unknown or not one.
    doubts : tuple of str
        What may not be as it was meant; a line each.
    """

    samples: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    rule: TargetRule
    class_weights: tuple[float, ...]
    census: Census
    ndim: int
    in_channels: int
    voxel_size_um: tuple[float, ...]
    doubts: tuple[str, ...] = ()

    @property
    def annotated_share(self) -> float:
        """Of the voxels of the images to learn from, those that somebody annotated."""
        sizes = [math.prod(sample.image.shape) for sample in self.samples]
        known = sum(size * share for size, share in zip(sizes, self.census.shares))
        return known / sum(sizes)

    @property
    def class_shares(self) -> dict[str, float]:
        """Of the annotated voxels, by value for classes, by name otherwise."""
        names = [str(v) for v in self.rule.values] or self.rule.class_names
        return dict(zip(names, self.census.class_shares))

    @property
    def grey_median(self) -> tuple[float, float] | None:
        """Between which the medians lie in their grey ranges, the outer 5 % left out."""
        medians = [m for s in (*self.samples, *self.validation) for m in s.medians]
        if not medians:
            return None
        low, high = np.quantile(medians, (0.025, 0.975))
        return round(float(low), 4), round(float(high), 4)

    @property
    def num_shared(self) -> int:
        """Images that are both learned from and kept apart, whole or in part."""
        learned = {sample.image.url for sample in self.samples}
        return sum(sample.image.url in learned for sample in self.validation)


def open_training_set(
    images: str | Path,
    labels: str | Path,
    options: TrainOptions,
    recipe: Recipe,
    *,
    validation: tuple[str | Path, str | Path] | None = None,
    on_stage: OnStage = say_nothing,
) -> TrainingSet:
    """Open all pairs, look at their labels, and keep a part for validation.

    Parameters
    ----------
    images, labels : path
        As :func:`bigunet.io.sources.pairs.find_pairs` takes them.
    options : TrainOptions
    recipe : Recipe
    validation : pair of path, optional
        Images and labels to validate on, instead of a share of the others.
    on_stage : callable
        Told of the stage at work and its share that is done.

    Raises
    ------
    BigUNetError
        If pairs do not fit together, or a class never occurs.
    """
    pairs = find_pairs(images, labels)
    others = find_pairs(*validation) if validation else []
    opening = Counted("reading images", len(pairs) + len(others), on_stage)
    found, apart = _open(pairs, options, opening.one), _open(others, options, opening.one)
    ndim = _ndim(found[0].image, options)
    _check_alike([*found, *apart], ndim)
    _check_target([*found, *apart], options, recipe.score)
    if validation:
        kept = found
    else:
        kept, apart = split_samples(found, options.validation, seed=recipe.seed)
    doubts = list(doubts_of(kept, apart))
    if options.connected:
        refuse_lone_mask(found)
        found, kept, apart = (_connected(some, ndim) for some in (found, kept, apart))
    rule = _rule(found, options, on_stage)
    counting = Counted("counting labels", len(kept) + len(apart), on_stage)
    census = take_census(kept, rule, warped_ndim=ndim, on_sample=counting.one)
    apart = check_labels(apart, rule, on_sample=counting.one)
    doubts += _doubts_of_census(kept, census, options)
    if not options.voxel_size_um and (doubt := doubt_of_sizes([*kept, *apart], ndim)):
        doubts.append(doubt)
    return TrainingSet(
        samples=tuple(weigh(kept, census, recipe.sample_by)),
        validation=tuple(apart),
        rule=rule,
        class_weights=class_weights(census.counts, balance=recipe.class_balance),
        census=census,
        ndim=ndim,
        in_channels=found[0].image.num_channels,
        voxel_size_um=options.voxel_size_um[-ndim:] or common_voxel_size(found, ndim),
        doubts=tuple(doubts),
    )


def _open(
    pairs: Sequence[Pair], options: TrainOptions, on_pair: Callable[[], None]
) -> list[Sample]:
    samples = []
    for pair in pairs:
        image, labels = open_pair(
            pair, level=options.level, channels=options.channels or None, ignore=options.ignore
        )
        grey_range, medians = _grey_values(image, options)
        samples.append(
            Sample(
                image,
                labels,
                grey_range,
                spacing=_spacing(image, options),
                medians=medians,
            )
        )
        on_pair()
    return samples


def _doubts_of_census(
    samples: Sequence[Sample], census: Census, options: TrainOptions
) -> Iterator[str]:
    if options.ignore and min(census.shares) == 1:
        listed = ", ".join(map(str, options.ignore))
        yield f"no label holds {listed}, which --ignore leaves out"
    for sample, num_objects in zip(samples, census.objects):
        if sample.labels.dtype in (np.uint8, np.int16) and num_objects >= _MOST_OF_8_BITS:
            yield (
                f"{sample.labels.url} holds {num_objects} objects in 8 bits: numbers over 255 do "
                "not fit; store labels as 16 bits"
            )
            return


def _connected(samples: Sequence[Sample], ndim: int) -> list[Sample]:
    return [replace(s, labels=ConnectedLabels(s.labels, ndim)) for s in samples]


def _grey_values(image: Source, options: TrainOptions) -> tuple[GreyRange, tuple[float, ...]]:
    """As ``segment`` normalises, and where the medians lie; a flat image keeps its values."""
    if options.normalise == "fixed":
        number = image.num_channels
        return GreyRange((float(options.low),) * number, (float(options.high),) * number), ()
    found = image.percentiles((options.low, options.high, 50.0))
    low = tuple(float(values[0]) for values in found)
    high = tuple(float(b if b > a else a + 1) for a, b, _ in found)
    medians = tuple((values[2] - a) / (b - a) for values, a, b in zip(found, low, high))
    return GreyRange(low, high), medians


def _spacing(image: Source, options: TrainOptions) -> tuple[float, ...]:
    size = options.voxel_size_um or image.scale_um
    if not size:
        return (1.0,) * len(image.shape)
    space = [axis for axis in image.axes if axis in "zyx"]
    if len(size) != len(space):
        raise OptionError(f"voxel_size_um has {len(size)} axes, {image.url} has {', '.join(space)}")
    smallest = min(size)
    # Axes that are not space, such as time, stand first and have no size.
    return (1.0,) * (len(image.shape) - len(size)) + tuple(s / smallest for s in size)


def _ndim(image: Source, options: TrainOptions) -> int:
    spatial = sum(axis in "zyx" for axis in image.axes)
    ndim = options.ndim or min(3, spatial)
    if ndim > spatial:
        raise OptionError(
            f"{image.url} has the axes {', '.join(image.axes)}; a network of {ndim} axes sees more"
        )
    return ndim


def _check_alike(samples: Sequence[Sample], ndim: int) -> None:
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


def _check_target(samples: Sequence[Sample], options: TrainOptions, score: ScoreName) -> None:
    if options.target == "classes":
        if options.connected:
            raise OptionError("connected objects are for the targets cells and boundaries")
        if score not in ("auto", "dice"):
            raise OptionError(f"score {score} is for the targets cells and boundaries; give dice")
        return
    masks = [s.labels.url for s in samples if s.labels.dtype.kind == "b"]
    if masks and not options.connected:
        raise TrainingError(
            f"{masks[0]} is a mask of true and false, whose objects have no numbers; give "
            "--connected, or --target classes"
        )


def _rule(samples: Sequence[Sample], options: TrainOptions, on_stage: OnStage) -> TargetRule:
    values: tuple[int, ...] = ()
    if options.target == "classes":
        values = options.label_values
        if not values:
            reading = Counted("reading labels", len(samples), on_stage)
            values = label_values(samples, on_sample=reading.one)
        if len(values) < 2:
            raise TrainingError(
                f"all labels are {', '.join(map(str, values))}; a network tells 2 classes at least"
            )
    elif options.label_values:
        raise OptionError("label values are for the target classes")
    rule = TargetRule(options.target, values, options.border_width)
    if options.class_names and len(options.class_names) != rule.num_classes:
        raise OptionError(
            f"{len(options.class_names)} class names for {rule.num_classes} classes: "
            f"{', '.join(rule.class_names)}"
        )
    return rule


def has_equal_channels(image: Source) -> bool:
    """Whether an image repeats one channel, as far as its middle tells."""
    if image.num_channels == 1:
        return False
    voxels = image.read(middle_of(image))
    return bool((voxels == voxels[:1]).all() and voxels.min() < voxels.max())


def with_border_terms(training_set: TrainingSet, terms: Sequence[Source]) -> TrainingSet:
    """The set with border terms that were kept, one per sample to learn from."""
    samples = tuple(replace(s, terms=t) for s, t in zip(training_set.samples, terms))
    return replace(training_set, samples=samples)
