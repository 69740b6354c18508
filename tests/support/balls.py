"""Balls that touch, so that objects have necks."""

from __future__ import annotations

import numpy as np

from bigunet.geometry import Point


def balls(shape: Point, *centres: tuple[Point, float]) -> np.ndarray:
    """Balls of given radii in any number of axes, joined: uint8."""
    grid = np.indices(shape)
    mask = np.zeros(shape, bool)
    for centre, radius in centres:
        apart = grid - np.reshape(centre, (-1,) + (1,) * len(shape))
        mask |= (apart**2).sum(0) <= radius**2
    return mask.astype(np.uint8)


def some_balls(shape: Point, seed: int, number: int, largest: float) -> np.ndarray:
    """Balls at random places, some of which touch: uint8."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, shape, (number, len(shape)))
    radii = rng.uniform(largest / 3, largest, number)
    return balls(shape, *((tuple(place), radius) for place, radius in zip(places, radii)))
