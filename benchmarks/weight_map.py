"""Time the border term of the weight map on a field of round cells.

Run it before and after a change to ``bigunet/training/data/weight_map.py``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from bigunet.training.data.weight_map import border_term


def field_of_cells(shape: tuple[int, ...], count: int, *, pieces: int = 1) -> np.ndarray:
    """Balls that fill a third of the field and may overlap; every ``pieces`` balls share one id."""
    rng = np.random.default_rng(0)
    labels = np.zeros(shape, np.int32)
    ndim = len(shape)
    ball = {2: np.pi, 3: 4 / 3 * np.pi}[ndim]
    radius = (labels.size / 3 / count / ball) ** (1 / ndim)
    for number in range(count):
        centre = [rng.uniform(0, size) for size in shape]
        r = radius * rng.uniform(0.7, 1.3)
        box = tuple(
            slice(max(0, int(c - r)), min(size, int(c + r) + 1)) for c, size in zip(centre, shape)
        )
        steps = np.ogrid[box]
        inside = sum((x - c) ** 2 for x, c in zip(steps, centre)) <= r**2
        labels[box][inside] = number // pieces + 1
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="4096,4096", help="of the field, in voxels")
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--pieces", type=int, default=1, help="that each cell consists of")
    parser.add_argument("--sigma", type=float, default=5.0)
    arguments = parser.parse_args()
    shape = tuple(int(n) for n in arguments.shape.split(","))
    labels = field_of_cells(shape, arguments.cells, pieces=arguments.pieces)
    started = time.perf_counter()
    term = border_term(labels, w0=10.0, sigma=arguments.sigma, spacing=(1.0,) * len(shape))
    seconds = time.perf_counter() - started
    print(
        f"{arguments.shape}, {len(np.unique(labels)) - 1} cells: {seconds:.2f} s, "
        f"{1e9 * seconds / labels.size:.0f} ns per voxel; mean term {term.mean():.3f}"
    )


if __name__ == "__main__":
    main()
