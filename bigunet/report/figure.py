"""Makes matplotlib figures without its global state, and writes them as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigunet.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 120


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` × ``height`` inches, in no window and in no global list."""
    # This import takes half a second; only commands that draw should wait for it.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, and make its folder if it does not exist.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", facecolor="white")
    except OSError as error:
        raise OutputError(
            f"cannot write the picture {path}: {error.strerror or error}; choose a folder that "
            "can be written"
        ) from error
