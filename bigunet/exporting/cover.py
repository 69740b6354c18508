"""The picture of a package: its test image, and the classes over it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from bigunet.exporting.sample_tensors import SampleTensors
from bigunet.model.model import Model
from bigunet.report.label_picture import seen_grey, tinted

_SIDE = 256
_GREY_ENDS = (0.5, 99.8)


def cover(model: Model, tensors: SampleTensors) -> bytes:
    """A PNG, twice as wide as high: the image on the left, with its classes on the right."""
    shares = tensors.probabilities[0]
    if len(shares) == 1:
        shares = np.concatenate([1 - shares, shares])
    labels = _middle(shares.argmax(axis=0)[None])[0]
    border = model.receptive_field.border
    inner = tuple(slice(b, n - b) for b, n in zip(border, tensors.image.shape[2:]))
    image = _middle(tensors.image[0][(slice(None), *inner)])
    low, high = np.percentile(image.reshape(len(image), -1), _GREY_ENDS, axis=1)
    grey = seen_grey(image, low.tolist(), np.maximum(high, low + 1e-6).tolist())
    colors = [one.rgba[:3] for one in model.description.classes]
    pair = [Image.fromarray(part) for part in (grey, tinted(grey, labels, colors, 0.5))]
    page = Image.new("RGB", (2 * _SIDE, _SIDE))
    for k, part in enumerate(pair):
        page.paste(part.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), (k * _SIDE, 0))
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _middle(volume: np.ndarray) -> np.ndarray:
    """The plane in the middle of a volume; of an image, the image."""
    while volume.ndim > 3:
        volume = volume[:, volume.shape[1] // 2]
    return volume
