"""The transforms of Winograd's convolution F(4 × 4, 3 × 3), compiled by numba for one core.

A tile of 6 × 6 inputs gives 4 × 4 outputs. Both transforms go along y first, then along x. They use
the points 0, ±5/8, ±3/2 and infinity: all their numbers are exact in binary, and the rounding error
is a third of that with the usual points 0, ±1, ±2.

Channels are next to one another in memory, and eight of them are computed at a time. LLVM does not
see by itself that results do not overlap with inputs; so these eight are written in its own terms.
All of this is in one file, because numba's cache on the disk looks at the date of this file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

SEGMENT = 16
"""The most tiles of a row that are transformed at a time; their rows stay in the nearest cache."""

_A, _B = 0.625, 1.5
_A1, _A2, _A3 = (np.float32(_A**n) for n in (1, 2, 3))
_B1, _B2, _B3 = (np.float32(_B**n) for n in (1, 2, 3))
_SUM, _PRODUCT = np.float32(_A**2 + _B**2), np.float32((_A * _B) ** 2)
_LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
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


class _Eight:
    """Eight numbers in LLVM's terms, so that formulas read as such."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: _Eight) -> _Eight:
        return _Eight(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: _Eight) -> _Eight:
        return _Eight(self.builder, self.builder.fsub(self.value, other.value))

    def __rmul__(self, factor: np.float32) -> _Eight:
        constant = ir.Constant(_VECTOR, [float(factor)] * _LANES)
        return _Eight(self.builder, self.builder.fmul(constant, self.value))


def _six(d: Sequence[Any]) -> list[Any]:
    """Six transformed numbers of six neighbours."""
    even, odd = d[4] - _B2 * d[2], _A1 * (d[3] - _B2 * d[1])
    far_even, far_odd = d[4] - _A2 * d[2], _B1 * (d[3] - _A2 * d[1])
    return [
        _PRODUCT * d[0] - _SUM * d[2] + d[4],
        even + odd, even - odd, far_even + far_odd, far_even - far_odd,
        _PRODUCT * d[1] - _SUM * d[3] + d[5],
    ]  # fmt: skip


def _four(m: Sequence[Any]) -> list[Any]:
    """Four neighbours of six transformed numbers."""
    near, near_odd, far, far_odd = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    return [
        m[0] + near + far,
        _A1 * near_odd + _B1 * far_odd,
        _A2 * near + _B2 * far,
        _A3 * near_odd + _B3 * far_odd + m[5],
    ]


def _of_eight(formula: Callable[[Sequence[Any]], list[Any]], *, finish: bool = False) -> Any:
    """A function for compiled code that applies a formula to eight neighbouring channels.

    It reads six sources at ``s + n * s_step``, and writes results at ``t + n * t_step``. To finish,
    it adds the numbers of ``bias`` from ``k`` on, and replaces results below those of ``floor``.
    """

    @intrinsic
    def apply(
        _: Any, source: Any, s: Any, s_step: Any, target: Any, t: Any, t_step: Any,
        bias: Any, floor: Any, k: Any,
    ) -> Any:  # fmt: skip
        place = types.intp
        signature = types.void(source, place, place, target, place, place, bias, floor, place)

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            def at(array: int, start: int, n: int = 0) -> Any:
                data = context.make_array(signature.args[array])(context, builder, given[array])
                index = given[start]
                if n:
                    step = given[start + 1]
                    index = builder.add(index, builder.mul(step, ir.Constant(step.type, n)))
                return builder.bitcast(builder.gep(data.data, [index]), _VECTOR.as_pointer())

            def load(array: int, start: int, n: int = 0) -> Any:
                return builder.load(at(array, start, n), align=4)

            lines = [_Eight(builder, load(0, 1, n)) for n in range(6)]
            for n, result in enumerate(formula(lines)):
                value = result.value
                if finish:
                    value, least = builder.fadd(value, load(6, 8)), load(7, 8)
                    # A comparison that NaN fails, so that NaN stays visible as with torch.
                    below = builder.fcmp_ordered("<", value, least)
                    value = builder.select(below, least, value)
                builder.store(value, at(3, 4, n), align=4)
            return context.get_dummy_value()

        return signature, generate

    return apply


_six_of_eight = _of_eight(_six)
_four_of_eight = _of_eight(_four)
_finish_eight = _of_eight(_four, finish=True)


@_compiled
def transform_inputs(
    image: Any, transformed: Any, first: int, count: int, columns: int, channels: int
) -> None:
    """Transform ``count`` tiles of a plane from tile number ``first`` on.

    Parameters
    ----------
    image : ndarray of float32, (y, x * channel)
        It has 8 channels or more.
    transformed : ndarray of float32, (36, tile * channel)
        Receives the result.
    columns : int
        Number of tiles in a row of tiles.
    """
    height, width = image.shape
    c, flat, out, step = channels, image.reshape(-1), transformed.reshape(-1), transformed.shape[1]
    length = (4 * SEGMENT + 2) * c
    lines, edge = np.empty(6 * length, np.float32), np.zeros(6 * length, np.float32)
    tile = first
    while tile < first + count:
        row, column = divmod(tile, columns)
        num = min(columns - column, first + count - tile, SEGMENT)
        y, x, whole = 4 * row, 4 * column * c, (4 * num + 2) * c
        there = min(whole, width - x)
        if y + 6 > height:
            edge[:] = 0
            for n in range(height - y):
                edge[n * length : n * length + there] = image[y + n, x : x + there]
        for k in range(0, there, 8):
            k = min(k, there - 8)
            if y + 6 > height:
                _six_of_eight(edge, k, length, lines, k, length, edge, edge, 0)
            else:
                _six_of_eight(flat, y * width + x + k, width, lines, k, length, edge, edge, 0)
        for i in range(6):
            lines[i * length + there : i * length + whole] = 0
            for n in range(num):
                start = 6 * i * step + (tile - first + n) * c
                for k in range(0, c, 8):
                    k = min(k, c - 8)
                    source = i * length + 4 * n * c + k
                    _six_of_eight(lines, source, c, out, start + k, step, edge, edge, 0)
        tile += num


@_compiled
def transform_outputs(
    products: Any, result: Any, bias: Any, floor: Any, first: int, count: int, columns: int
) -> None:
    """Turn the products of ``count`` tiles into results.

    Parameters
    ----------
    products : ndarray of float32, (36, tile * channel)
        It has 8 channels or more.
    result : ndarray of float32, (y, x * channel)
        Receives the 4 × 4 voxels of each tile, except those beyond its end.
    bias, floor : ndarray of float32, (channel,)
        What is added to each channel, and the least result of each channel.
    columns : int
        Number of tiles in a row of tiles.
    """
    height, width = result.shape
    c, flat, out, step = len(bias), products.reshape(-1), result.reshape(-1), products.shape[1]
    length = SEGMENT * c
    lines, line = np.empty(24 * length, np.float32), np.empty(4 * c, np.float32)
    tile = first
    while tile < first + count:
        row, column = divmod(tile, columns)
        num = min(columns - column, first + count - tile, SEGMENT)
        start = (tile - first) * c
        for j in range(6):
            for k in range(0, num * c, 8):
                k = min(k, num * c - 8)
                source, target = j * step + start + k, j * length + k
                _four_of_eight(flat, source, 6 * step, lines, target, 6 * length, bias, floor, 0)
        for a in range(min(4, height - 4 * row)):
            for n in range(num):
                x = 4 * (column + n) * c
                there = min(4 * c, width - x)
                begin = (4 * row + a) * width + x
                for k in range(0, c, 8):
                    k = min(k, c - 8)
                    source = 6 * a * length + n * c + k
                    if there == 4 * c:
                        _finish_eight(lines, source, length, out, begin + k, c, bias, floor, k)
                    else:
                        _finish_eight(lines, source, length, line, k, c, bias, floor, k)
                if there < 4 * c:
                    out[begin : begin + there] = line[:there]
        tile += num
