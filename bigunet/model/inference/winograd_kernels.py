"""The transforms of Winograd's convolution F(4 × 4, 3 × 3), compiled by numba for one core.

A tile of 6 × 6 inputs gives 4 × 4 outputs. Both transforms go along y first, then along x. They use
the points 0, ±5/8, ±3/2 and infinity: all their numbers are exact in binary, and the rounding error
is a third of that with the usual points 0, ±1, ±2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

SEGMENT = 16
"""The most tiles of a row that are transformed at a time; their rows stay in the nearest cache."""

_A, _B = 0.625, 1.5
_A1, _A2, _A3 = (np.float32(_A**n) for n in (1, 2, 3))
_B1, _B2, _B3 = (np.float32(_B**n) for n in (1, 2, 3))
_SUM, _PRODUCT = np.float32(_A**2 + _B**2), np.float32((_A * _B) ** 2)
_ZERO = np.float32(0)
_F = TypeVar("_F", bound=Callable[..., None])


def _compiled(function: _F) -> _F:
    """The function as machine code, kept on the disk where there is a place for it."""
    try:
        return cast(_F, njit(nogil=True, cache=True)(function))
    except RuntimeError:
        # Neither the package's folder nor the user's folder for caches can be written.
        return cast(_F, njit(nogil=True)(function))


def weight_transform() -> np.ndarray:
    """The matrix (6, 3) that turns three weights of a line into six.

    Returns
    -------
    ndarray of float64
    """
    points = [0.0, _A, -_A, _B, -_B]
    rows = [
        np.array([1, p, p**2]) / np.prod([p - other for other in points if other != p])
        for p in points
    ]
    return np.array([*rows, [0, 0, 1]])


@_compiled
def _six(lines: Any, out: Any, count: int) -> None:
    """Six transformed lines of six lines of numbers."""
    d0, d1, d2, d3, d4, d5 = lines
    o0, o1, o2, o3, o4, o5 = out
    for k in range(count):
        o0[k] = _PRODUCT * d0[k] - _SUM * d2[k] + d4[k]
        even, odd = d4[k] - _B2 * d2[k], _A1 * (d3[k] - _B2 * d1[k])
        o1[k], o2[k] = even + odd, even - odd
        even, odd = d4[k] - _A2 * d2[k], _B1 * (d3[k] - _A2 * d1[k])
        o3[k], o4[k] = even + odd, even - odd
        o5[k] = _PRODUCT * d1[k] - _SUM * d3[k] + d5[k]


@_compiled
def _four(lines: Any, out: Any, count: int) -> None:
    """Four lines of results of six transformed lines."""
    m0, m1, m2, m3, m4, m5 = lines
    o0, o1, o2, o3 = out
    for k in range(count):
        near, near_odd = m1[k] + m2[k], m1[k] - m2[k]
        far, far_odd = m3[k] + m4[k], m3[k] - m4[k]
        o0[k] = m0[k] + near + far
        o1[k] = _A1 * near_odd + _B1 * far_odd
        o2[k] = _A2 * near + _B2 * far
        o3[k] = _A3 * near_odd + _B3 * far_odd + m5[k]


@_compiled
def transform_inputs(
    image: Any, transformed: Any, first: int, count: int, columns: int, channels: int
) -> None:
    """Transform ``count`` tiles of a plane from tile number ``first`` on.

    Parameters
    ----------
    image : ndarray of float32, (y, x * channel)
    transformed : ndarray of float32, (36, tile * channel)
        Receives the result.
    columns : int
        Number of tiles in a row of tiles.
    """
    height, width = image.shape
    c = channels
    lines = np.empty((6, (4 * SEGMENT + 2) * c), np.float32)
    zeros = np.zeros((4 * SEGMENT + 2) * c, np.float32)
    tile = first
    while tile < first + count:
        row, column = divmod(tile, columns)
        num = min(columns - column, first + count - tile, SEGMENT)
        y, x, whole = 4 * row, 4 * column * c, (4 * num + 2) * c
        there = min(whole, width - x)
        r3 = image[y + 3, x : x + there] if y + 3 < height else zeros[:there]
        r4 = image[y + 4, x : x + there] if y + 4 < height else zeros[:there]
        r5 = image[y + 5, x : x + there] if y + 5 < height else zeros[:there]
        rows = (image[y, x : x + there], image[y + 1, x : x + there],
                image[y + 2, x : x + there], r3, r4, r5)  # fmt: skip
        _six(rows, (lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]), there)
        lines[:, there:whole] = 0
        for i in range(6):
            for n in range(num):
                a = lines[i, 4 * n * c : (4 * n + 6) * c]
                start = (tile - first + n) * c
                stop = start + c
                _six(
                    (a[:c], a[c : 2 * c], a[2 * c : 3 * c],
                     a[3 * c : 4 * c], a[4 * c : 5 * c], a[5 * c :]),
                    (transformed[6 * i, start:stop], transformed[6 * i + 1, start:stop],
                     transformed[6 * i + 2, start:stop], transformed[6 * i + 3, start:stop],
                     transformed[6 * i + 4, start:stop], transformed[6 * i + 5, start:stop]),
                    c,
                )  # fmt: skip
        tile += num


@_compiled
def transform_outputs(
    products: Any, result: Any, bias: Any, first: int, count: int, columns: int, relu: bool
) -> None:
    """Turn the products of ``count`` tiles into a plane of results, with bias and ReLU.

    Parameters
    ----------
    products : ndarray of float32, (36, tile * channel)
    result : ndarray of float32, (y, x * channel)
        Receives the 4 × 4 voxels of each tile, except those beyond its end.
    bias : ndarray of float32, (channel,)
    columns : int
        Number of tiles in a row of tiles.
    relu : bool
        Whether results below 0 become 0.
    """
    height, width = result.shape
    c = len(bias)
    lines = np.empty((4, 6, SEGMENT * c), np.float32)
    line = np.empty(4 * SEGMENT * c, np.float32)
    tile = first
    while tile < first + count:
        row, column = divmod(tile, columns)
        num = min(columns - column, first + count - tile, SEGMENT)
        start, stop = (tile - first) * c, (tile - first + num) * c
        for j in range(6):
            _four(
                (products[j, start:stop], products[6 + j, start:stop],
                 products[12 + j, start:stop], products[18 + j, start:stop],
                 products[24 + j, start:stop], products[30 + j, start:stop]),
                (lines[0, j], lines[1, j], lines[2, j], lines[3, j]),
                num * c,
            )  # fmt: skip
        y, x = 4 * row, 4 * column * c
        there = min(4 * num * c, width - x)
        for a in range(min(4, height - y)):
            for n in range(num):
                p, q, out = n * c, n * c + c, line[4 * n * c : 4 * (n + 1) * c]
                _four(
                    (lines[a, 0, p:q], lines[a, 1, p:q], lines[a, 2, p:q],
                     lines[a, 3, p:q], lines[a, 4, p:q], lines[a, 5, p:q]),
                    (out[:c], out[c : 2 * c], out[2 * c : 3 * c], out[3 * c :]),
                    c,
                )  # fmt: skip
            _finish(line, result[y + a, x : x + there], bias, relu)
        tile += num


@_compiled
def _finish(line: Any, out: Any, bias: Any, relu: bool) -> None:
    c = len(bias)
    for p in range(len(out) // c):
        for k in range(c):
            value = line[p * c + k] + bias[k]
            # A comparison that NaN passes, so that it stays visible as with torch.
            out[p * c + k] = _ZERO if relu and value < _ZERO else value
