"""The parts of a page with numbers: classes, objects, grey values, model and fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigunet.report.charts import grey_histogram, size_bars
from bigunet.report.markup import Markup, element, figure, joined, listed, section
from bigunet.segmentation.page.picture_sections import swatch
from bigunet.segmentation.segment_report import SegmentReport

_BINS = 84
_MOST_CHANNELS, _MOST_CLASSES, _MOST_LETTERS = 4, 40, 600
# A few extreme voxels would leave no room for all others.
_SHOWN_PERCENT = (0.02, 99.98)
_CARD = ("data", "intended_use", "limits", "licence", "citation", "source")
_ORIGINS = {
    "image": "measured on this image",
    "other image": "measured on another image",
    "other output": "taken from another output",
    "options": "as given",
    "model": "fixed by the model",
}


def classes_section(report: SegmentReport) -> Markup:
    """Shares of the classes, and the sizes of the objects."""
    rows = [
        element(
            "tr",
            element("td", swatch(one.color), one.name),
            element("td", shown_share(report.class_shares[one.name]), class_="number"),
            element("td", _bar(report.class_shares[one.name]), class_="bar"),
        )
        for one in report.plan.model.description.classes[:_MOST_CLASSES]
    ]
    head = element(
        "thead",
        element("tr", *(element("th", t, scope="col") for t in ("class", "share", ""))),
    )
    table = element("table", head, element("tbody", *rows))
    return section("Classes and objects", table, _objects(report))


def grey_section(report: SegmentReport, sample: np.ndarray) -> Markup:
    """The grey range over the histogram of each channel.

    Parameters
    ----------
    report : SegmentReport
    sample : ndarray, (channel, voxel)
        Grey values of a few places.
    """
    made, plan = report.normalisation, report.plan
    charts = [
        _grey_chart(
            plan.image.shown_channels[plan.channels[k]],
            sample[k],
            (float(made.values.low[k]), float(made.values.high[k])),
        )
        for k in range(min(len(plan.channels), _MOST_CHANNELS))
    ]
    if made.kind == "percentile":
        origin = f"Percentiles {made.low:g} and {made.high:g}, {_ORIGINS[made.origin]}"
    elif made.statistics:
        origin = f"{made.statistics[:1].upper()}{made.statistics[1:]}, {_ORIGINS[made.origin]}"
    else:
        origin = f"The range is {_ORIGINS[made.origin]}"
    notes = [f"{origin}{f' ({made.other})' if made.other else ''}. "]
    if made.is_standardised:
        notes += ["The shaded range is one deviation wide."]
    else:
        notes += ["Most of the bars should lie within the shaded range, and fill most of it."]
    return section("Grey values", element("p", *notes), *charts)


def model_section(report: SegmentReport) -> Markup:
    """The card of the model in short, and how the image fits it."""
    description, fit = report.plan.model.description, report.fit
    card = description.card
    rows: list[tuple[object, object]] = [("model", description.name)]
    rows += [(key.replace("_", " "), _brief(card[key])) for key in _CARD if card.get(key)]
    scores = card.get("scores")
    if isinstance(scores, dict):
        rows += [("scores", _brief("; ".join(f"{name}: {v}" for name, v in scores.items())))]
    fitting: list[tuple[object, object]] = [
        ("voxel size of the image", _size(fit.voxel_size_um)),
        ("voxel size of the training", _size(fit.model_voxel_size_um)),
        ("median of the image", f"at {', '.join(f'{m:.3f}' for m in fit.medians)} of the range"),
    ]
    if description.grey_median is not None:
        low, high = description.grey_median
        fitting += [("medians of the training", f"at {low:.3f} to {high:.3f} of the range")]
    return section(
        "Model and fit", listed(rows), element("h3", "Does the image fit?"), listed(fitting)
    )


def shown_share(share: float) -> str:
    """A share in percent, never rounded to all or nothing.

    >>> shown_share(0.21), shown_share(1), shown_share(0.99999), shown_share(0.00001)
    ('21.0 %', '100 %', 'more than 99.9 %', 'less than 0.1 %')
    """
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if share > 0.999 else f"{share:.1%}".replace("%", " %")


def _objects(report: SegmentReport) -> Markup:
    found, rule = report.objects, report.plan.objects
    if found is None or rule is None:
        return element("p", "Objects were not numbered in this run.", class_="soft")
    name = report.plan.model.description.classes[rule.object_class].name
    count = f"{found.num_objects:,}" if found.num_objects else "No"
    words = f"{count} object{'s' * (found.num_objects != 1)} of class {name}"
    if found.num_small:
        words += f"; {found.num_small:,} below {rule.smallest} voxels were left out"
    if found.num_objects and found.median_voxels is not None:
        words += f". Their median size is {found.median_voxels:,.0f} voxels"
        if (size_um := report.plan.voxel_size_um) is not None:
            volume = found.median_voxels * math.prod(size_um)
            words += f", or {volume:.3g} µm{'²' if len(size_um) == 2 else '³'}"
    parts = [element("p", f"{words}.")]
    if any(found.sizes):
        counts = [(2**k, 2 ** (k + 1) - 1, n) for k, n in enumerate(found.sizes) if n]
        listed_counts = "; ".join(f"{a:,} to {b:,} voxels: {n:,}" for a, b, n in counts)
        chart = size_bars(found.sizes, f"Histogram of the sizes of objects. {listed_counts}")
        parts.append(
            figure(
                chart,
                "Sizes of the objects. Each bar counts from its number to below twice of it.",
            )
        )
    return joined(*parts)


def _grey_chart(name: str, values: np.ndarray, grey_range: tuple[float, float]) -> Markup:
    values = values[np.isfinite(values)].astype(np.float64)
    low, high = sorted(grey_range)
    inner = np.percentile(values, _SHOWN_PERCENT) if values.size else (low, high)
    ends = min(float(inner[0]), low), max(float(inner[1]), high)
    margin = (ends[1] - ends[0]) * 0.03 or 1.0
    # Where no value is negative, no number of the axis is.
    ends = max(0.0, ends[0] - margin) if ends[0] >= 0 else ends[0] - margin, ends[1] + margin
    counts, ends = _histogram(values, ends)
    below, above = (float(np.mean(v)) if v.size else 0.0 for v in (values < low, values > high))
    words = (
        f"Channel {name}: the network reads {grey_range[0]:.6g} as 0 and {grey_range[1]:.6g} as 1. "
        f"Of the voxels, {shown_share(below)} lie below this range, {shown_share(above)} above it."
    )
    chart = grey_histogram(counts, ends, grey_range, f"Histogram of grey values. {words}")
    return figure(chart, f"{words} Heights are on a logarithmic scale, from a sample of the image.")


def _histogram(
    values: np.ndarray, ends: tuple[float, float]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Counts of equally wide bins, and where the first begins and the last ends.

    Of whole numbers, each bin takes equally many: others would look like a comb.
    """
    if values.size and bool(np.all(values == np.round(values))) and ends[1] - ends[0] > 1:
        low, high = math.floor(ends[0]), math.ceil(ends[1]) + 1
        width = -(-(high - low) // _BINS)
        num_bins = -(-(high - low) // width)
        ends = float(low), float(low + num_bins * width)
    else:
        num_bins = _BINS
    return np.histogram(values, bins=num_bins, range=ends)[0], ends


def _bar(share: float) -> Markup:
    return (
        element("span", class_="fill", style=f"width:{100 * share:.2f}%") if share else Markup("")
    )


def _brief(value: object) -> str:
    """The begin of a text that may be long."""
    text = str(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} …"


def _size(size_um: Sequence[float] | Any) -> str:
    return "not stated" if size_um is None else " × ".join(f"{v:g}" for v in size_um) + " µm"
