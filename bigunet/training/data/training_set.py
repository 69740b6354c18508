"""The training set: samples to learn from, samples for validation, target, and class weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bigunet.errors import OptionError, TrainingError
from bigunet.io.sources.pairs import find_pairs
from bigunet.io.sources.source import Source
from bigunet.model.object_description import WIDEST_BORDER
from bigunet.training.data.census import Census, take_census, weigh
from bigunet.training.data.doubts import doubts_of
from bigunet.training.data.label_checks import check_labels, label_values, refuse_lone_mask
from bigunet.training.data.opened_samples import open_samples, with_connected_labels
from bigunet.training.data.sample_checks import check_alike, check_target, network_ndim
from bigunet.training.data.samples import Sample
from bigunet.training.data.split import split_samples
from bigunet.training.data.targets import TargetRule
from bigunet.training.data.voxel_sizes import common_voxel_size, doubt_of_sizes
from bigunet.training.data.weight_map import class_weights
from bigunet.training.recipe import Recipe
from bigunet.training.train_options import TrainOptions
from bigunet.training.work_stages import Counted, OnStage, ignore_stage

_MOST_OF_8_BITS = 250
"""So many objects in one image of 8 bits suggest that higher numbers were cut off."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a network is trained on.

    Parameters
    ----------
    samples, validation : tuple of Sample
        Samples to learn from, and samples kept apart for validation.
    rule : TargetRule
    class_weights : tuple of float
        w_c of the weight map.
    census : Census
        Counts of the samples to learn from.
    ndim : int
        Number of axes that the network sees.
    in_channels : int
    voxel_size_um : tuple of float
        Voxel size in micrometres along the network's axes; empty if it is unknown, or if the
        images differ.
    doubts : tuple of str
        What may be a mistake of the user, one line each.
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
        """Share of the voxels to learn from that somebody annotated."""
        sizes = [math.prod(sample.image.shape) for sample in self.samples]
        known = sum(size * share for size, share in zip(sizes, self.census.shares))
        return known / sum(sizes)

    @property
    def class_shares(self) -> dict[str, float]:
        """Share of each class among the annotated voxels.

        A class is named by its label value for the target "classes", and by its name otherwise.
        """
        names = [str(v) for v in self.rule.values] or self.rule.class_names
        return dict(zip(names, self.census.class_shares))

    @property
    def grey_median(self) -> tuple[float, float] | None:
        """Lowest and highest place of a median in its grey range, without the outer 5 %."""
        medians = [m for s in (*self.samples, *self.validation) for m in s.medians]
        if not medians:
            return None
        low, high = np.quantile(medians, (0.025, 0.975))
        return round(float(low), 4), round(float(high), 4)

    @property
    def num_shared(self) -> int:
        """Number of images that are both learned from and validated on, whole or in part."""
        learned = {sample.image.url for sample in self.samples}
        return sum(sample.image.url in learned for sample in self.validation)


def open_training_set(
    images: str | Path,
    labels: str | Path,
    options: TrainOptions,
    recipe: Recipe,
    *,
    validation: tuple[str | Path, str | Path] | None = None,
    on_stage: OnStage = ignore_stage,
) -> TrainingSet:
    """Open all pairs, check their labels, and keep a part for validation.

    Parameters
    ----------
    images, labels : path
        Paths as :func:`bigunet.io.sources.pairs.find_pairs` takes them.
    options : TrainOptions
    recipe : Recipe
    validation : pair of path, optional
        Images and labels to validate on, instead of a share of the other images.
    on_stage : callable
        Called with the stage at work, and with the share of it that is done.

    Raises
    ------
    BigUNetError
        If pairs do not fit together, or if a class never occurs.
    """
    opened, apart = _opened(images, labels, options, validation, on_stage)
    ndim = network_ndim(opened[0].image, options)
    check_alike([*opened, *apart], ndim)
    check_target([*opened, *apart], options, recipe.score)
    kept = opened
    if not validation:
        kept, apart = split_samples(opened, options.validation, seed=recipe.seed)
    doubts = list(doubts_of(kept, apart))
    if options.connected:
        refuse_lone_mask(opened)
        opened, kept, apart = (with_connected_labels(some, ndim) for some in (opened, kept, apart))
    rule = _rule(opened, options, on_stage)
    counting = Counted("counting labels", len(kept) + len(apart), on_stage)
    census = take_census(kept, rule, warped_ndim=ndim, on_sample=counting.add_one)
    apart = check_labels(apart, rule, on_sample=counting.add_one)
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
        in_channels=opened[0].image.num_channels,
        voxel_size_um=options.voxel_size_um[-ndim:] or common_voxel_size(opened, ndim),
        doubts=tuple(doubts),
    )


def with_border_terms(training_set: TrainingSet, terms: Sequence[Source]) -> TrainingSet:
    """The training set with kept border terms, one for each sample to learn from."""
    samples = tuple(replace(s, terms=t) for s, t in zip(training_set.samples, terms))
    return replace(training_set, samples=samples)


def _opened(
    images: str | Path,
    labels: str | Path,
    options: TrainOptions,
    validation: tuple[str | Path, str | Path] | None,
    on_stage: OnStage,
) -> tuple[list[Sample], list[Sample]]:
    """All samples, and those of ``validation``."""
    pairs = find_pairs(images, labels)
    others = find_pairs(*validation) if validation else []
    opening = Counted("reading images", len(pairs) + len(others), on_stage)
    return (
        open_samples(pairs, options, opening.add_one),
        open_samples(others, options, opening.add_one),
    )


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


def _rule(samples: Sequence[Sample], options: TrainOptions, on_stage: OnStage) -> TargetRule:
    values: tuple[int, ...] = ()
    if options.target == "classes":
        values = options.label_values
        if not values:
            reading = Counted("reading labels", len(samples), on_stage)
            values = label_values(samples, on_sample=reading.add_one)
        if len(values) < 2:
            raise TrainingError(
                f"all labels are {', '.join(map(str, values))}; a network needs at least 2 classes"
            )
    elif options.label_values:
        raise OptionError("label values are for the target classes")
    rule = TargetRule(options.target, values, options.border_width)
    if options.class_names and len(options.class_names) != rule.num_classes:
        raise OptionError(
            f"{len(options.class_names)} class names for {rule.num_classes} classes: "
            f"{', '.join(rule.class_names)}"
        )
    twice = [name for name in options.class_names if options.class_names.count(name) > 1]
    if twice and rule.kind == "cells":
        raise OptionError(f"class name {twice[0]!r:.60} comes twice; give each class its own")
    if rule.kind == "cells" and rule.border_width > WIDEST_BORDER:
        raise OptionError(f"border_width is {rule.border_width}; give 0 to {WIDEST_BORDER} voxels")
    return rule
