"""One table with a column for each processor or GPU: microseconds per voxel, as far as measured."""

from __future__ import annotations

from collections.abc import Iterator

from loads import LOADS
from result_files import Machine, Result

PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "int8")
Cells = dict[tuple[int, str, str], str]


def side_by_side(machines: list[Machine]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The head and the rows of the table; a cell that was not measured has a dash."""
    columns = [_cells(machine) for machine in machines]
    keys = sorted({key for cells in columns for key in cells})
    head = ("load", "what", *(f"{m.name.partition(' (')[0]}, {m.kind}" for m in machines))
    rows = [
        (_load_at(place), what, *(cells.get((place, rank, what), "–") for cells in columns))
        for place, rank, what in keys
    ]
    return head, rows


def notes(machines: list[Machine]) -> list[str]:
    """Where figures come from that no script wrote."""
    noted = {
        (m.name, r["note"]) for m in machines for r in (*m.passes, m.limits or {}) if "note" in r
    }
    return [f"{name}: {note}." for name, note in sorted(noted)]


def _cells(machine: Machine) -> Cells:
    """The cells of a machine: load, order and what was measured, and microseconds per voxel."""
    best: dict[tuple[int, str, str], float] = {}
    for load, rank, what, figure in _figures(machine):
        key = (_place(load), rank, what)
        best[key] = min(figure, best.get(key, figure))
    return {key: _short(figure) for key, figure in best.items()}


def _figures(machine: Machine) -> Iterator[tuple[str, str, str, float]]:
    for result in machine.passes:
        figure = min(result["microseconds_per_voxel"].values())
        what = f"forward pass, {result['backend']} {result['precision']}"
        yield result["load"], _rank(1, result["precision"]), what, figure
    for result in machine.runs:
        if not result["options"]:
            what = f"**bigunet end to end, {result['precision']}**"
            figure = result["microseconds_per_voxel"]
            yield result["load"], _rank(2, result["precision"]), what, figure
    for result in machine.comparisons:
        yield from _compared(result)
    if machine.limits is not None:
        for load in ("paper", "narrow", "volume"):
            for precision, flops in machine.limits["flops"].items():
                what = f"limit of matrix products, {precision}"
                figure = 1e6 * LOADS[load].flops / flops / LOADS[load].voxels
                yield load, _rank(0, precision), what, figure


def _compared(result: Result) -> Iterator[tuple[str, str, str, float]]:
    for name, peer in result["peers"].items():
        program, precision, _ = name.split(":")
        what = f"{program} end to end, {precision}"
        yield result["load"], _rank(3, precision), what, peer["microseconds_per_voxel"]


def _place(load: str) -> int:
    """Parts of a load stand with the whole."""
    return list(LOADS).index(load.removesuffix("-part"))


def _load_at(place: int) -> str:
    return list(LOADS)[place]


def _rank(section: int, precision: str) -> str:
    return f"{section}{PRECISIONS.index(precision)}"


def _short(figure: float) -> str:
    return f"{figure:.3g}" if figure >= 0.001 else f"{figure:.1e}"
