"""The images of ``quantise``: some calibrate the numbers, others are for the comparison."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.sources.source import open_source
from bigunet.model.model import Model
from bigunet.quantising.quantise_options import QuantiseOptions
from bigunet.receptive import ReceptiveField
from bigunet.segmentation.image_list import is_several, list_images
from bigunet.training.data.opened_samples import grey_range_of
from bigunet.training.data.samples import Sample
from bigunet.training.data.training_set import open_training_set
from bigunet.training.recipe import Recipe
from bigunet.training.train_options import TrainOptions

Samples = tuple[Sample, ...]
_PATCH_VOXELS = 2**16
_FIFTH = 5


def labelled(
    model: Model, images: str | Path, labels: str | Path, options: TrainOptions
) -> tuple[Samples, Samples]:
    """Images to calibrate with, and images to compare on; as ``train`` would divide them."""
    training_set = open_training_set(images, labels, options, Recipe())
    return tuple(training_set.samples), tuple(training_set.validation)


def unlabelled(
    model: Model, images: str | Path, train: TrainOptions, options: QuantiseOptions
) -> tuple[Samples, Samples]:
    """Images to calibrate with, and every fifth image to compare on, or one image for both."""
    source = os.fspath(images)
    paths = list_images([source], outputs="")[0] if is_several(source) else (source,)
    samples = []
    for path in paths:
        image = open_source(path, level=options.level, channels=options.channels or None)
        # The comparison reads no labels, and the image has the shape that labels would have.
        samples.append(Sample(image, image, grey_range_of(image, train)[0]))
    apart = tuple(samples[_FIFTH - 1 :: _FIFTH]) or tuple(samples[-1:])
    kept = tuple(sample for sample in samples if sample not in apart) or apart
    return kept, apart


def check_channels(model: Model, samples: Sequence[Sample]) -> None:
    """Raise OptionError for the first image with another number of channels."""
    for sample in samples:
        if sample.image.num_channels != model.in_channels:
            raise OptionError(
                f"{sample.image.url} has {sample.image.num_channels} channels, the model reads "
                f"{model.in_channels}: name them with --channel"
            )


def patches(samples: Sequence[Sample], model: Model, count: int) -> Iterator[Tensor]:
    """Network inputs of evenly used images at random places, (1, channel, *space)."""
    random = np.random.default_rng(0)
    order = random.permutation(len(samples))
    for number in range(count):
        sample = samples[order[number % len(samples)]]
        leading = len(sample.image.shape) - model.ndim
        field = model.receptive_field.with_leading_axes(leading)
        grey = sample.grey(_box(sample.image.shape, field, leading, random))
        yield torch.from_numpy(grey.reshape(grey.shape[0], *grey.shape[1 + leading :]))[None]


def _box(
    shape: Sequence[int], field: ReceptiveField, leading: int, random: np.random.Generator
) -> Box:
    """What the network reads for a part of an image; it may leave the image, and is mirrored."""
    side = round(_PATCH_VOXELS ** (1 / (len(shape) - leading)))
    part = tuple(1 if k < leading else min(side, n) for k, n in enumerate(shape))
    start = [int(random.integers(n - p + 1)) for n, p in zip(shape, part)]
    read = field.input_shape(part)
    first = tuple(a - h for a, h in zip(start, field.halo))
    return Box(first, tuple(a + n for a, n in zip(first, read)))
