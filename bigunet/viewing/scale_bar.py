"""A scale bar in the corner of a picture."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SHARE = 0.2
"""The bar is not longer than this share of the picture."""
_STEPS = (1, 2, 5)
_SMALLEST = 128
"""Pixels of the shorter side of a picture that has room for a bar."""


def bar_length(pitch: float, width: int) -> float:
    """The longest length of 1, 2 or 5 times a power of ten that is a small part of a picture.

    Parameters
    ----------
    pitch : float
        Length of a pixel.
    width : int
        Pixels of the picture.

    >>> bar_length(0.5, 1000), bar_length(0.3, 100)
    (100.0, 5.0)
    """
    most = pitch * width * _SHARE
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in _STEPS if step * power <= most * (1 + 1e-9))


def with_scale_bar(picture: np.ndarray, pitch: float, unit: str) -> np.ndarray:
    """A copy of a picture (y, x, 3) with a bar and its length in the lower left corner."""
    height, width = picture.shape[:2]
    if min(height, width) < _SMALLEST:
        return picture.copy()
    length = bar_length(pitch, width)
    pixels, thick = round(length / pitch), max(2, height // 200)
    margin, letters = max(6, height // 50), max(10, height // 45)
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(_font_file(), letters)
    text = f"{length:g} {unit}"
    top = height - margin - thick
    right = margin + max(pixels, round(draw.textlength(text, font=font)))
    draw.rectangle(
        (margin // 2, top - letters - margin, right + margin // 2, height - margin // 2),
        fill=(40, 40, 40),
    )
    draw.rectangle((margin, top, margin + pixels - 1, top + thick - 1), fill=(255, 255, 255))
    draw.text((margin, top - letters - margin // 2), text, fill=(255, 255, 255), font=font)
    return np.asarray(image)


def _font_file() -> str:
    """A font that has the letter µ, which Pillow's own font has not."""
    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
