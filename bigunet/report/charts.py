"""Charts as SVG within a page; their colours are those of the page, light or dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bigunet.report.markup import Markup, element, joined

_WIDTH, _HEIGHT = 420, 196
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 412, 22, 160
# Ticks of an axis at the most.
_TICKS = 8


def svg(
    width: float, height: float, label: str, *children: object, class_: str = "chart"
) -> Markup:
    """A drawing with a text for those who cannot see it."""
    box = f"0 0 {width:g} {height:g}"
    title = element("title", label)
    return element("svg", title, *children, viewBox=box, role="img", class_=class_)


def size_bars(counts: Sequence[int], label: str) -> Markup:
    """Bars of a histogram of sizes.

    Parameters
    ----------
    counts : sequence of int
        Entry k counts the objects of 2**k to 2**(k + 1) - 1 voxels.
    label : str
        What the chart shows, in words.
    """
    used = [k for k, count in enumerate(counts) if count]
    shown = range(used[0], used[-1] + 1)
    step, most = (_RIGHT - _LEFT) / len(shown), max(counts)
    bars = []
    every = -(-len(shown) // _TICKS)
    for place, k in enumerate(shown):
        left, height = _LEFT + place * step, (_BOTTOM - _TOP) * counts[k] / most
        bars.append(rect(left + step * 0.08, _BOTTOM - height, step * 0.84, height, "bars"))
        if len(shown) <= 14 and counts[k]:
            above = _BOTTOM - height - 4
            bars.append(text(left + step / 2, above, f"{counts[k]:,}", anchor="middle"))
        if place % every == 0:
            bars.append(text(left + step / 2, _BOTTOM + 15, f"{2**k:,}", "middle", "soft"))
    title = text(
        (_LEFT + _RIGHT) / 2, _HEIGHT - 4, "voxels of an object, at least", "middle", "soft"
    )
    return svg(_WIDTH, _HEIGHT, label, *bars, _base_line(), title)


def grey_histogram(
    counts: np.ndarray, ends: tuple[float, float], grey_range: tuple[float, float], label: str
) -> Markup:
    """Bars of a histogram of grey values, on a logarithmic scale, with the grey range over them.

    Parameters
    ----------
    counts : ndarray of int
        Voxels in each of equally wide bins.
    ends : (float, float)
        Grey values where the first bin begins and the last one ends; both ends of the grey range
        lie between them.
    grey_range : (float, float)
        Grey values that the network reads as 0 and 1.
    label : str
        What the chart shows, in words.
    """
    low, high = (_across(value, ends) for value in grey_range)
    heights = np.log1p(counts) / max(float(np.log1p(counts).max(initial=0)), 1e-9)
    step = (_RIGHT - _LEFT) / len(counts)
    bars = [
        (_LEFT + k * step, _BOTTOM - (_BOTTOM - _TOP) * h, step * 0.92, (_BOTTOM - _TOP) * h)
        for k, h in enumerate(heights)
        if h
    ]
    inside = rect(min(low, high), _TOP, abs(high - low), _BOTTOM - _TOP, "inside")
    lines = [
        element("path", d=f"M{number(x)} {_TOP}V{_BOTTOM + 4}", class_="range") for x in (low, high)
    ]
    values = [text(x, 14, f"{v:.4g}", a, "ends") for x, v, a in _end_texts(low, high, grey_range)]
    corners = (
        text(_LEFT, _BOTTOM + 18, f"{ends[0]:.4g}", "start", "soft"),
        text(_RIGHT, _BOTTOM + 18, f"{ends[1]:.4g}", "end", "soft"),
        text((_LEFT + _RIGHT) / 2, _BOTTOM + 18, "grey value", "middle", "soft"),
    )
    drawn = (inside, rects(bars, "bars"), _base_line(), *lines, *values, *corners)
    return svg(_WIDTH, _HEIGHT, label, *drawn)


def rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """One rectangle."""
    return rects([(x, y, width, height)], class_)


def rects(boxes: Sequence[tuple[float, float, float, float]], class_: str) -> Markup:
    """Rectangles of one colour (x, y, width, height), as one path."""
    steps = (
        f"M{number(x)} {number(y)}h{number(w)}v{number(h)}h{number(-w)}z" for x, y, w, h in boxes
    )
    return element("path", d="".join(steps), class_=class_)


def text(x: float, y: float, words: str, anchor: str = "start", class_: str = "") -> Markup:
    """Words in a drawing."""
    style = {"class_": class_} if class_ else {}
    return element("text", words, x=number(x), y=number(y), text_anchor=anchor, **style)


def number(value: float) -> str:
    """A coordinate in a few letters."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def legend(names: Mapping[str, object]) -> Markup:
    """A list of names, each behind its colour as an attribute ``class`` or ``style`` says it."""
    items = [element("li", mark, name) for name, mark in names.items()]
    return element("ul", *items, class_="legend")


def _across(value: float, ends: tuple[float, float]) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (value - ends[0]) / (ends[1] - ends[0])


def _end_texts(
    low: float, high: float, values: tuple[float, float]
) -> Iterator[tuple[float, float, str]]:
    """Where the two ends are named: away from one another, and within the chart."""
    first, second = sorted(((low, values[0]), (high, values[1])))
    roomy = second[0] - first[0] > 80
    for (x, value), outward in ((first, "end"), (second, "start")):
        anchor = "middle" if roomy else outward
        if x < _LEFT + 40:
            anchor = "start" if roomy or outward == "start" else anchor
        if x > _RIGHT - 40:
            anchor = "end" if roomy or outward == "end" else anchor
        yield x, value, anchor


def _base_line() -> Markup:
    return joined(element("path", d=f"M{_LEFT} {_BOTTOM}H{_RIGHT}", class_="axis"))
