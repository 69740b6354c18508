"""The tensors that show what a package computes: an image, and the probabilities of its classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bigunet.errors import OptionError
from bigunet.geometry import Box
from bigunet.io.files.opening import open_image, open_level
from bigunet.model.inference.score_maps import probabilities_of
from bigunet.model.model import Model

EPS = 1e-6
"""What bioimage.io adds to a range before it divides."""

_SIDE = {2: 256, 3: 48}


@dataclass(frozen=True)
class SampleTensors:
    """An input and its output.

    Parameters
    ----------
    image : ndarray of float32, (1, channel, *space)
        Grey values.
    probabilities : ndarray of float32, (1, class, *inner)
        What the package computes of them. Of a network with one score, that of the foreground.
    """

    __test__ = False

    image: np.ndarray
    probabilities: np.ndarray


def sample_tensors(model: Model, source: str) -> SampleTensors:
    """Make the test tensors of a model.

    Parameters
    ----------
    model : Model
    source : str
        The image to take them from; empty for a drawing of spots.

    Raises
    ------
    OptionError
        If the image has too few voxels, axes or channels.
    """
    field = model.receptive_field
    # As many voxels as come near the usual side, in whole strides.
    kept = tuple(
        max(1, (_SIDE[model.ndim] - 2 * b) // s) * s for b, s in zip(field.border, field.stride)
    )
    shape = field.input_shape(kept)
    values = _part(source, model, shape) if source else _spots(model.in_channels, shape)
    image = values.astype(np.float32)[None]
    return SampleTensors(image, _probabilities(model, image))


def _probabilities(model: Model, image: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        scores = model.module(torch.from_numpy(normalised(model, image)))[0]
        shares = probabilities_of(scores)
    shares = shares[1:] if scores.shape[0] == 1 else shares
    result: np.ndarray = shares.numpy()[None]
    return result


def normalised(model: Model, image: np.ndarray) -> np.ndarray:
    """Network inputs as the package states them, float32."""
    usual = model.description.normalisation
    planes = []
    for channel in image[0]:
        low, high = usual.low, usual.high
        if usual.kind == "percentile":
            low, high = np.percentile(channel, (usual.low, usual.high)).tolist()
            high += EPS
        planes.append((channel.astype(np.float64) - low) / (high - low))
    return np.stack(planes)[None].astype(np.float32)


def _part(source: str, model: Model, shape: tuple[int, ...]) -> np.ndarray:
    """The centre of an image, in the channels that the model reads."""
    image = open_image(source)
    volume = image.volume_shape(0)
    if image.num_channels < model.in_channels or len(volume) < model.ndim:
        raise OptionError(
            f"{source} has {image.num_channels} channels and {len(volume)} axes; the model reads "
            f"{model.in_channels} channels and {model.ndim} axes: give another --image"
        )
    whole = (*(1,) * (len(volume) - model.ndim), *shape)
    if any(n < m for n, m in zip(volume, whole)):
        raise OptionError(
            f"{source} has {' × '.join(map(str, volume))} voxels; the test tensors need "
            f"{' × '.join(map(str, shape))}: give a larger --image"
        )
    start = tuple((n - m) // 2 for n, m in zip(volume, whole))
    box = Box(start, tuple(a + m for a, m in zip(start, whole)))
    reader = open_level(image, level=0, channels=range(model.in_channels))
    read: np.ndarray = reader.read(box).reshape(model.in_channels, *shape)
    return read


def _spots(channels: int, shape: tuple[int, ...]) -> np.ndarray:
    """A drawing of round spots on a noisy background, the same on every machine."""
    random = np.random.default_rng(0)
    axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij", sparse=True)
    image = random.normal(100, 5, (channels, *shape))
    for _ in range(24):
        centre = [random.uniform(0, n) for n in shape]
        radius, bright = random.uniform(4, 10), random.uniform(200, 900)
        away = sum(((a - c) / radius) ** 2 for a, c in zip(axes, centre))
        image += bright / (1 + np.exp(4 * (np.sqrt(away) - 1)))
    return image.round()
