"""A drawing of what each worker did when: reading, waiting, computing, writing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from bigunet.report.charts import legend, number, rects, svg, text
from bigunet.report.markup import Markup, element, joined

STATES = ("read", "wait", "compute", "write")
WORDS = ("reading", "waiting for the device or for memory", "computing", "writing")
_LEFT, _RIGHT, _ROW, _GAP = 130, 730, 16, 5
_TICKS = 6
_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))


def timeline(
    shares: np.ndarray,
    names: Sequence[str],
    seconds: float,
    cuts: Sequence[tuple[float, str]],
    label: str,
) -> Markup:
    """A row for each thread of a worker; the height of a colour is its share of a short time.

    Parameters
    ----------
    shares : ndarray of float, (row, state, time)
        Share of each short time in each state of STATES, 0 to 1; the rest of 1 is idle.
    names : sequence of str
        Of the rows.
    seconds : float
        Length of the whole.
    cuts : sequence of (float, str)
        Places in seconds where a pause was left out, with how long it was.
    label : str
        What the drawing shows, in words.
    """
    step = (_RIGHT - _LEFT) / shares.shape[2]
    rows = [
        _row(share, name, 20 + place * (_ROW + _GAP), step)
        for place, (share, name) in enumerate(zip(shares, names))
    ]
    bottom = 20 + len(names) * (_ROW + _GAP)
    marks = [_cut(at / seconds, words, bottom) for at, words in cuts]
    drawn = svg(
        _RIGHT + 30, bottom + 24, label, *rows, *_axis(seconds, bottom), *marks, class_="timeline"
    )
    return element("div", drawn, class_="wide", tabindex=0, role="group", aria_label=label)


def state_legend() -> Markup:
    """The colours of the states."""
    pairs = [*zip(WORDS, STATES), ("idle", "idle")]
    return legend({w: element("span", class_=f"swatch {state}") for w, state in pairs})


def _row(share: np.ndarray, name: str, top: float, step: float) -> Markup:
    idle = rects([(_LEFT, top, _RIGHT - _LEFT, _ROW)], "idle")
    below = np.zeros(share.shape[1])
    drawn = [idle, text(_LEFT - 6, top + _ROW - 4, name, "end")]
    for state, part in zip(STATES, share):
        boxes = [
            (_LEFT + a * step, top + _ROW * (1 - base - high), (b - a) * step, _ROW * high)
            for a, b, base, high in _runs(below, part)
        ]
        if boxes:
            drawn.append(rects(boxes, state))
        below = below + part
    return joined(*drawn)


def _runs(below: np.ndarray, part: np.ndarray) -> list[tuple[int, int, float, float]]:
    """Neighbouring times of equal height as one: first, end, height below, height."""
    heights = np.stack((below, part)).round(2)
    changes = np.flatnonzero(np.any(np.diff(heights, axis=1) != 0, axis=0)) + 1
    ends = [0, *changes.tolist(), heights.shape[1]]
    return [
        (a, b, float(heights[0, a]), float(heights[1, a]))
        for a, b in pairwise(ends)
        if heights[1, a] > 0
    ]


def _axis(seconds: float, bottom: float) -> list[Markup]:
    """Marks at round numbers of seconds, minutes or hours."""
    unit, name = next((u for u in _UNITS if seconds >= 2 * u[0]), _UNITS[-1])
    length = seconds / unit
    step = next(
        m * 10.0**e for e in range(-3, 9) for m in (1, 2, 5) if length / (m * 10.0**e) <= _TICKS
    )
    marks = []
    for k in range(int(length / step) + 1):
        x = _LEFT + (_RIGHT - _LEFT) * k * step / length
        marks.append(element("path", d=f"M{number(x)} {bottom}v4", class_="axis"))
        words = f"{k * step:g} {name}"
        marks.append(text(x, bottom + 18, words, "middle", "soft"))
    return marks


def _cut(share: float, words: str, bottom: float) -> Markup:
    x = _LEFT + (_RIGHT - _LEFT) * share
    line = element("path", d=f"M{number(x)} 14V{bottom}", class_="cut")
    anchor = "start" if share < 0.1 else "end" if share > 0.9 else "middle"
    return joined(line, text(x, 11, words, anchor))
