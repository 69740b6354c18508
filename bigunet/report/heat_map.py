"""A map of numbers as a picture: dark is little, bright is much, also for the colour-blind."""

from __future__ import annotations

import numpy as np

from bigunet.report.charts import svg, text
from bigunet.report.markup import Markup, element

# Nuñez et al. 2018, doi:10.1371/journal.pone.0199239: cividis.
_COLORS = np.array(
    [(0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102), (254, 232, 56)],
    float,
)
_MISSING = (128, 128, 128)


def heat_map(values: np.ndarray) -> np.ndarray:
    """Colours of a map; numbers that are missing are grey.

    Parameters
    ----------
    values : ndarray of float, (y, x)
        NaN where there is none.

    Returns
    -------
    ndarray of uint8, (y, x, 3)
    """
    known = np.isfinite(values)
    picture = np.empty((*values.shape, 3), np.uint8)
    picture[:] = _MISSING
    if known.any():
        low, high = values[known].min(), values[known].max()
        places = (values[known] - low) / max(high - low, 1e-12) * (len(_COLORS) - 1)
        steps = np.arange(len(_COLORS))
        mixed = [np.interp(places, steps, _COLORS[:, k]) for k in range(3)]
        picture[known] = np.stack(mixed, axis=1).round()
    return picture


def color_scale(low: str, high: str) -> Markup:
    """The colours of a map from its least to its greatest number, as a bar with both named."""
    stops = [
        element(
            "stop",
            offset=f"{100 * k / (len(_COLORS) - 1):g}%",
            stop_color="#" + "".join(f"{int(v):02x}" for v in color),
        )
        for k, color in enumerate(_COLORS)
    ]
    bar = element("rect", x=0, y=0, width=420, height=14, fill="url(#scale)")
    gradient = element("defs", element("linearGradient", *stops, id="scale"))
    ends = text(0, 30, low), text(420, 30, high, "end")
    return svg(420, 36, f"colours from {low} to {high}", gradient, bar, *ends)
