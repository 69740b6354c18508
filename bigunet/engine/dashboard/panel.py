"""The page that bigunet adds to Dask's dashboard. It needs Bokeh, which a scheduler may lack."""

from __future__ import annotations

import html
import itertools
import logging
import math
from collections.abc import Mapping
from typing import Any

from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import (
    BasicTickFormatter,
    ColorBar,
    ColumnDataSource,
    Div,
    LinearColorMapper,
    NumeralTickFormatter,
    Range1d,
    Select,
)
from bokeh.palettes import Blues256
from bokeh.plotting import figure

from bigunet.engine.dashboard.stage_progress import State

logger = logging.getLogger(__name__)

_UPDATE_MILLISECONDS = 1000
_MAP_SIZE, _CHART_WIDTH, _CHART_HEIGHT = 500, 520, 300
_NOT_DONE, _DONE = "#e4e4e4", tuple(reversed(Blues256[24:208]))


class Panel:
    """One browser's view of the runs of a scheduler.

    Parameters
    ----------
    document : bokeh.document.Document
        The page. It is filled, and then updated every second.
    states : mapping of str to State
        The last state of each run, which the scheduler changes.
    """

    def __init__(self, document: Document, states: Mapping[str, State]) -> None:
        self._document = document
        self._states = states
        self._map_of: tuple[str, str] | None = None
        self._words = Div(name="words", sizing_mode="stretch_width")
        self._choice = Select(title="run", options=[], visible=False, name="runs")
        self._cells = ColumnDataSource(
            {"left": [], "right": [], "top": [], "bottom": [], "share": []}, name="cells"
        )
        self._samples = ColumnDataSource(
            {"seconds": [], "speed": [], "device_share": []}, name="samples"
        )
        self._map = _map(self._cells)
        speed = _chart(self._samples, "speed", "megapixels per second")
        devices = _chart(self._samples, "device_share", "time in which devices compute")
        devices.y_range = Range1d(0, 1.02)
        devices.yaxis.formatter = NumeralTickFormatter(format="0%")
        charts = column(speed, devices)
        document.title = "bigunet"
        document.add_root(column(self._words, self._choice, row(self._map, charts)))
        self._updating = document.add_periodic_callback(self._update, _UPDATE_MILLISECONDS)
        self._update()

    def end(self) -> None:
        """Show the last state, and end the updates."""
        states = dict(self._states)

        def last() -> None:
            self._document.remove_periodic_callback(self._updating)
            self._states = states
            self._update(ended=True)

        self._document.add_next_tick_callback(last)

    def _update(self, *, ended: bool = False) -> None:
        try:
            state = self._chosen()
            if state is not None:
                self._draw(state, ended=ended)
        except Exception:
            logger.debug("the panel cannot be drawn", exc_info=True)

    def _chosen(self) -> State | None:
        """The state of the run that the user chose, or of the run that began last."""
        runs = [run for run, state in self._states.items() if state["stage"]]
        self._choice.options = [(run, self._states[run]["output"]) for run in runs]
        self._choice.visible = len(runs) > 1
        if not runs:
            return None
        if self._choice.value not in runs:
            self._choice.value = runs[-1]
        return self._states[self._choice.value]

    def _draw(self, state: State, *, ended: bool) -> None:
        self._words.text = _words(state, ended=ended)
        if self._samples.data["seconds"] != state["samples"]["seconds"]:
            self._samples.data = _steps(state["samples"])
        drawn = state["map"]
        if self._map_of != (state["output"], state["stage"]):
            self._map_of = (state["output"], state["stage"])
            self._frame(drawn)
            self._cells.data = _cells(drawn)
        else:
            before = self._cells.data["share"]
            changed = [
                (place, share)
                for place, (share, old) in enumerate(zip(drawn["shares"], before))
                if share != old
            ]
            if changed:
                self._cells.patch({"share": changed})

    def _frame(self, drawn: State) -> None:
        """Fit the axes to the extent of a stage, with y downwards as in images."""
        (top, *_, bottom), (left, *_, right) = drawn["edges"]
        self._map.y_range.start, self._map.y_range.end = bottom, top
        self._map.x_range.start, self._map.x_range.end = left, right
        names = [f"{name} (voxels)" if name else "" for name in drawn["axes"]]
        self._map.yaxis.axis_label, self._map.xaxis.axis_label = names
        shape = (bottom - top, right - left)
        # Voxels are drawn as squares, unless the map would then be a line.
        self._map.frame_height = round(_MAP_SIZE * min(1, max(0.15, shape[0] / shape[1])))
        self._map.frame_width = round(_MAP_SIZE * min(1, max(0.15, shape[1] / shape[0])))


def _map(cells: ColumnDataSource) -> Any:
    colors = LinearColorMapper(palette=(_NOT_DONE, *_DONE), low=0, high=1)
    drawn = figure(
        name="map",
        x_range=Range1d(0, 1),
        y_range=Range1d(1, 0),
        frame_width=_MAP_SIZE,
        frame_height=_MAP_SIZE,
        tools="pan,wheel_zoom,reset,save,hover",
        toolbar_location="above",
        tooltips=[("x", "@left to @right"), ("y", "@top to @bottom"), ("done", "@share{0%}")],
    )
    drawn.quad(
        source=cells,
        left="left",
        right="right",
        top="top",
        bottom="bottom",
        fill_color={"field": "share", "transform": colors},
        line_color="white",
        line_width=0.5,
    )
    drawn.grid.visible = False
    drawn.axis.formatter = BasicTickFormatter(use_scientific=False)
    bar = ColorBar(
        color_mapper=colors,
        title="share of blocks done",
        formatter=NumeralTickFormatter(format="0%"),
    )
    drawn.add_layout(bar, "right")
    drawn.toolbar.logo = None
    return drawn


def _chart(samples: ColumnDataSource, field: str, label: str) -> Any:
    drawn = figure(
        x_axis_label="time since the run began (h:mm:ss)",
        y_axis_label=label,
        width=_CHART_WIDTH,
        height=_CHART_HEIGHT,
        tools="pan,wheel_zoom,reset,save",
        toolbar_location="above",
    )
    drawn.y_range.start = 0
    drawn.step(source=samples, x="seconds", y=field, mode="before", line_width=2)
    drawn.xaxis.formatter = NumeralTickFormatter(format="00:00:00")
    drawn.toolbar.logo = None
    return drawn


def _steps(samples: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """The samples as steps; the first step begins at time 0."""
    return {
        name: [0.0 if name == "seconds" else values[0], *values] if values else []
        for name, values in samples.items()
    }


def _cells(drawn: State) -> dict[str, list[float]]:
    rows, columns = (list(itertools.pairwise(edges)) for edges in drawn["edges"])
    corners = [(*y, *x) for y in rows for x in columns]
    top, bottom, left, right = (list(edge) for edge in zip(*corners)) if corners else ([],) * 4
    return {
        "left": left,
        "right": right,
        "top": top,
        "bottom": bottom,
        "share": list(drawn["shares"]),
    }


def _words(state: State, *, ended: bool) -> str:
    share = state["num_done"] / max(state["num_blocks"], 1)
    parts = [f"<b>{state['stage']}</b>: {state['num_done']} of {state['num_blocks']} blocks"]
    parts.append(_percent(share))
    if state["speed"] is not None:
        parts.append(f"{state['speed']:.2f} megapixels per second")
    if state["device_share"] is not None:
        parts.append(f"devices compute {_percent(state['device_share'])} of the time")
    if ended:
        parts.append("the run has ended")
    elif state["seconds_left"] is not None:
        parts.append(f"{_clock(state['seconds_left'])} left")
    pages = " · ".join(f'<a href="{page}">{page}</a>' for page in ("status", "workers", "tasks"))
    return (
        f'<p style="font-size: 130%">{" · ".join(parts)}</p>'
        f"<p>{html.escape(state['output'])} &nbsp; Dask's pages: {pages}</p>"
    )


def _percent(share: float) -> str:
    """A share in percent, rounded down: 100 only when all is done."""
    return f"{math.floor(100 * share)}%"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
