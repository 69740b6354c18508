"""The training set: pairs of paths become samples, target, class weights, validation part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bigunet.errors import OptionError, TrainingError
from bigunet.geometry import Box
from bigunet.io.connected import ConnectedLabels
from bigunet.io.pairs import Pair, find_pairs, open_pair
from bigunet.io.sources import Source
from bigunet.model.inputs import GreyRange
from bigunet.training.census import Census, check_labels, label_values, take_census, weigh
from bigunet.training.recipe import Recipe, ScoreName
from bigunet.training.samples import Sample
from bigunet.training.split import split_samples
from bigunet.training.targets import TargetRule
from bigunet.training.weight_map import class_weights
from bigunet.workflows.training_run.options import TrainOptions

_LOOKED_AT = 1024
"""Voxels along each of two axes that tell whether channels are equal."""


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
    """

    samples: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    rule: TargetRule
    class_weights: tuple[float, ...]
    census: Census
    ndim: int
    in_channels: int
    voxel_size_um: tuple[float, ...]

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
) -> TrainingSet:
    """Open all pairs, look at their labels, and keep a part for validation.

    Parameters
    ----------
    images, labels : path
        As :func:`bigunet.io.pairs.find_pairs` takes them.
    options : TrainOptions
    recipe : Recipe
    validation : pair of path, optional
        Images and labels to validate on, instead of a share of the others.

    Raises
    ------
    BigUNetError
        If pairs do not fit together, or a class never occurs.
    """
    found = _open(find_pairs(images, labels), options)
    apart = _open(find_pairs(*validation), options) if validation else []
    ndim = _ndim(found[0].image, options)
    _check_alike([*found, *apart], ndim)
    _check_target([*found, *apart], options, recipe.score)
    if options.connected:
        found, apart = _connected(found, ndim), _connected(apart, ndim)
    rule = _rule(found, options)
    if validation:
        kept = found
    else:
        kept, apart = split_samples(found, options.validation, seed=recipe.seed)
    census = take_census(kept, rule, warped_ndim=ndim)
    check_labels(apart, rule)
    return TrainingSet(
        samples=tuple(weigh(kept, census, recipe.sample_by)),
        validation=tuple(apart),
        rule=rule,
        class_weights=class_weights(census.counts, balance=recipe.class_balance),
        census=census,
        ndim=ndim,
        in_channels=found[0].image.num_channels,
        voxel_size_um=options.voxel_size_um[-ndim:] or _voxel_size(found, ndim),
    )


def _open(pairs: Sequence[Pair], options: TrainOptions) -> list[Sample]:
    samples = []
    for pair in pairs:
        image, labels = open_pair(pair, level=options.level, channels=options.channels or None)
        samples.append(
            Sample(image, labels, _grey_range(image, options), spacing=_spacing(image, options))
        )
    return samples


def _connected(samples: Sequence[Sample], ndim: int) -> list[Sample]:
    return [replace(s, labels=ConnectedLabels(s.labels, ndim)) for s in samples]


def _grey_range(image: Source, options: TrainOptions) -> GreyRange:
    """As ``segment`` normalises: a flat image keeps its values apart from 0."""
    if options.normalise == "fixed":
        ends = ((options.low, options.high),) * image.num_channels
    else:
        ends = tuple((low, high) for low, high in image.percentiles((options.low, options.high)))
    return GreyRange(
        tuple(float(low) for low, _ in ends),
        tuple(float(high if high > low else low + 1) for low, high in ends),
    )


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


def _rule(samples: Sequence[Sample], options: TrainOptions) -> TargetRule:
    values: tuple[int, ...] = ()
    if options.target == "classes":
        values = options.label_values or label_values(samples)
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


def _voxel_size(samples: Sequence[Sample], ndim: int) -> tuple[float, ...]:
    sizes = {tuple(round(s, 9) for s in (sample.image.scale_um or ())) for sample in samples}
    return next(iter(sizes))[-ndim:] if len(sizes) == 1 else ()


def has_equal_channels(image: Source) -> bool:
    """Whether an image repeats one channel, as far as its middle tells."""
    if image.num_channels == 1:
        return False
    sizes = [min(n, _LOOKED_AT) for n in image.shape]
    sizes[:-2] = [1] * len(sizes[:-2])
    start = tuple((n - size) // 2 for n, size in zip(image.shape, sizes))
    voxels = image.read(Box(start, tuple(a + size for a, size in zip(start, sizes))))
    return bool((voxels == voxels[:1]).all() and voxels.min() < voxels.max())


def with_border_terms(training_set: TrainingSet, terms: Sequence[Source]) -> TrainingSet:
    """The set with border terms that were kept, one per sample to learn from."""
    samples = tuple(replace(s, terms=t) for s, t in zip(training_set.samples, terms))
    return replace(training_set, samples=samples)
