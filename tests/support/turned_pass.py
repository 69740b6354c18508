"""The reference for test-time augmentation: one pass over the whole turned image for each turn."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from support.whole_pass import mirrored

from bigunet.geometry import round_up
from bigunet.model.model import Model

EIGHT = tuple(itertools.product(range(4), (False, True)))
"""All turns: the number of turns by 90 degrees, and whether a mirror follows."""
FOUR = tuple(itertools.product((0, 2), (False, True)))


def turn(image: np.ndarray, how: tuple[int, bool]) -> np.ndarray:
    """Turn the last two axes with numpy."""
    quarters, flipped = how
    image = np.rot90(image, quarters, axes=(-2, -1))
    return image[..., ::-1] if flipped else image


def turn_back(image: np.ndarray, how: tuple[int, bool]) -> np.ndarray:
    quarters, flipped = how
    return np.rot90(image[..., ::-1] if flipped else image, -quarters, axes=(-2, -1))


def turned_probabilities(
    model: Model, image: np.ndarray, low: float, high: float, *, turns=EIGHT
) -> torch.Tensor:
    """Mean probabilities (class, *space) of a plain model for an image (channel, *space).

    Image and mirrored surroundings are extended to whole strides. Then a turn of the array about
    its middle is a turn of the image about its origin, up to a whole number of strides.
    """
    field, space = model.receptive_field, image.shape[1:]
    whole = tuple(round_up(n, s) for n, s in zip(space, field.stride))
    around = tuple(round_up(h, s) + s for h, s in zip(field.halo, field.stride))
    before, after = around, tuple(a + m - n for a, m, n in zip(around, whole, space))
    pixels = (mirrored(image, before, after).astype(np.float64) - low) / (high - low)
    total = 0.0
    for how in turns:
        scores = _pass_over_all(model, turn(pixels, how).astype(np.float32), around)
        if scores.shape[0] == 1:
            scores = np.concatenate((np.zeros_like(scores), scores))
        exponents = np.exp(scores - scores.max(axis=0))
        total = total + turn_back(exponents / exponents.sum(axis=0), how)
    inner = tuple(slice(0, n) for n in space)
    return torch.from_numpy(total[(slice(None), *inner)] / len(turns))


def _pass_over_all(model: Model, pixels: np.ndarray, around: tuple[int, ...]) -> np.ndarray:
    """Scores in fp64 of the array without its surroundings."""
    field = model.receptive_field
    inner = tuple(n - 2 * a for n, a in zip(pixels.shape[1:], around))
    read = tuple(
        slice(a - h, a - h + n) for a, h, n in zip(around, field.halo, field.input_shape(inner))
    )
    with torch.inference_mode():
        tile = torch.from_numpy(np.ascontiguousarray(pixels[(slice(None), *read)]))
        scores = model.module(tile[None])[0].double().numpy()
    kept = tuple(slice(h - b, h - b + n) for h, b, n in zip(field.halo, field.border, inner))
    return scores[(slice(None), *kept)]
