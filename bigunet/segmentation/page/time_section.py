"""The part of a page about time: what each thread did when, and how long each block took."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bigunet.geometry import Point
from bigunet.report.heat_map import color_scale, heat_map
from bigunet.report.inline_picture import inline_picture
from bigunet.report.markup import Markup, element, figure, joined, section
from bigunet.report.timeline import WORDS, state_legend, timeline
from bigunet.segmentation.page.block_times import BlockTimes
from bigunet.segmentation.page.work_shares import WorkShares

_MOST_ROWS = 32
_MOST_PLACES = 96
_MAP_PIXELS = 480


def time_section(times: BlockTimes, grid_shape: Point) -> Markup:
    """The timeline and the map of an output.

    Parameters
    ----------
    times : BlockTimes
    grid_shape : tuple of int
        Number of blocks along each axis.
    """
    if not times.threads:
        return section("Time", element("p", "The ledger of this run has no times.", class_="soft"))
    work = WorkShares.of(times)
    names = thread_names(list(times.threads))
    order = sorted(range(len(names)), key=lambda k: list(times.threads)[k])
    shown = order[:_MOST_ROWS]
    label = (
        f"What {len(names)} thread{'s' * (len(names) > 1)} did within {duration(work.seconds)} of "
        "work; the table after it has the sums"
    )
    cuts = [(at, f"pause of {duration(long)}") for at, long in work.pauses]
    drawing = timeline(
        work.shares[shown], [names[k] for k in shown], work.seconds, cuts[:20], label
    )
    parts = [figure(joined(drawing, state_legend()), _caption(len(order), len(shown)))]
    return section("Time", *parts, _sums(work), _map(times, grid_shape))


def thread_names(threads: Sequence[tuple[str, int]]) -> list[str]:
    """What people see of workers and threads: numbers, without names of hosts."""
    workers = {name: k for k, name in enumerate(sorted({w for w, _ in threads}), start=1)}
    if len(workers) == 1:
        return [f"thread {thread + 1}" for _, thread in threads]
    if all(thread == 0 for _, thread in threads):
        return [f"worker {workers[w]}" for w, _ in threads]
    return [f"worker {workers[w]}, thread {thread + 1}" for w, thread in threads]


def duration(seconds: float) -> str:
    """A time in the unit that people read.

    >>> duration(0.25), duration(12.3), duration(200), duration(20000)
    ('0.25 s', '12.3 s', '3.3 min', '5.6 h')
    """
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def block_map(segmented: dict[int, float], shape: Point) -> np.ndarray:
    """Mean seconds of the blocks at each place along the last two axes; NaN where none is known.

    Of a grid with very many blocks, neighbours become one place.
    """
    rows, columns = shape[-2:]
    steps = [-(-n // _MOST_PLACES) for n in (rows, columns)]
    places = [-(-n // step) for n, step in zip((rows, columns), steps)]
    numbers = np.fromiter(segmented.keys(), np.int64, len(segmented))
    seconds = np.fromiter(segmented.values(), np.float64, len(segmented))
    y, x = numbers // columns % rows // steps[0], numbers % columns // steps[1]
    sums, counts = np.zeros(places), np.zeros(places)
    np.add.at(sums, (y, x), seconds)
    np.add.at(counts, (y, x), 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _caption(num_rows: int, num_shown: int) -> str:
    words = "What each thread did, in all stages; pauses between two runs are left out."
    if num_shown < num_rows:
        words += f" The first {num_shown} of {num_rows} threads are drawn."
    return words


def _sums(work: WorkShares) -> Markup:
    """The exact times of all threads together."""
    sums = work.state_seconds.sum(axis=0)
    all_seconds = work.seconds * len(work.state_seconds)
    idle = max(0.0, all_seconds - float(sums.sum()))
    rows = [
        element(
            "tr",
            element("td", words),
            element("td", duration(float(seconds)), class_="number"),
            element("td", f"{seconds / all_seconds:.1%}".replace("%", " %"), class_="number"),
        )
        for words, seconds in zip((*WORDS, "idle"), (*sums, idle))
    ]
    head = element(
        "thead",
        element("tr", *(element("th", t, scope="col") for t in ("all threads", "time", "share"))),
    )
    return element("table", head, element("tbody", *rows))


def _map(times: BlockTimes, shape: Point) -> Markup:
    if len(times.segmented) < 2:
        return Markup("")
    seconds = block_map(times.segmented, shape)
    least, most = duration(float(np.nanmin(seconds))), duration(float(np.nanmax(seconds)))
    scale = max(1, min(40, _MAP_PIXELS // max(seconds.shape)))
    picture = heat_map(seconds).repeat(scale, axis=0).repeat(scale, axis=1)
    behind = math.prod(shape[:-2])
    each = f"the mean of {behind:,} blocks behind one another" if behind > 1 else "one block"
    alt = f"Map of block times, from {least} to {most}"
    caption = (
        f"Time to read, compute and write each block: each place is {each}. Yellow took longest; "
        "grey has no time."
    )
    drawn = inline_picture(picture, alt, most_bytes=60_000, sharp=True)
    return figure(joined(drawn, color_scale(least, most)), caption)
