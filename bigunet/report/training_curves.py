"""A picture of the curves of a training run: the loss above, the validation score below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigunet.report.figure import new_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# If a loss falls by more than this factor, a linear axis hides the end of the curve.
_LOG_RATIO = 10.0
_LOSS_COLOR, _SCORE_COLOR = "#2a7fd4", "#d4412a"


def draw_curves(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and validation score over the steps, as a PNG.

    Parameters
    ----------
    rows : sequence of mapping
        One mapping for each row of the training record, in order, with at least ``step``, ``loss``
        and ``score``. A score of NaN means no validation at this step. A loss that is not finite
        leaves a gap. The axis of the loss is logarithmic if all losses are positive and the
        largest is at least ten times the smallest.
    path : Path

    Raises
    ------
    OutputError
        If the picture cannot be written.
    """
    figure = new_figure(7.0, 5.6)
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_loss(above, rows)
    _draw_score(below, rows)
    below.set_xlabel("step")
    figure.align_ylabels()
    write_figure(figure, path)


def is_logarithmic(losses: Sequence[float]) -> bool:
    """Whether a logarithmic axis shows the finite losses better."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    return bool(finite) and min(finite) > 0 and max(finite) >= _LOG_RATIO * min(finite)


def scores_taken(rows: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    """Step and score of each row with a score."""
    return [(row["step"], row["score"]) for row in rows if math.isfinite(row["score"])]


def _draw_loss(axes: Axes, rows: Sequence[Mapping[str, float]]) -> None:
    losses = [row["loss"] if math.isfinite(row["loss"]) else math.nan for row in rows]
    axes.plot([row["step"] for row in rows], losses, color=_LOSS_COLOR, marker=".", markersize=3)
    if is_logarithmic(losses):
        axes.set_yscale("log")
    axes.set_ylabel("loss")
    _finish(axes)


def _draw_score(axes: Axes, rows: Sequence[Mapping[str, float]]) -> None:
    """Draw the scores, with a line at the best one."""
    taken = scores_taken(rows)
    axes.set_ylabel("validation score")
    _finish(axes)
    if not taken:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no validation", transform=axes.transAxes, ha="center", va="center")
        return
    axes.plot(*zip(*taken), color=_SCORE_COLOR, marker="o", markersize=4)
    step, best = max(taken, key=lambda pair: pair[1])
    axes.axhline(best, color=_SCORE_COLOR, linewidth=0.8, linestyle=":")
    axes.set_title(f"best {best:.4f} at step {step:,.0f}", fontsize="medium", loc="right")


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
