"""The columns of the table of objects, from their sums; names are those of scikit-image.

Each number is rounded from exact sums at the end, so that it does not depend on the blocks. Columns
in micrometres have ``um`` in their names; the others count voxels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bigunet.measuring.described import Described
from bigunet.measuring.grey_columns import confidence_of, grey_columns
from bigunet.measuring.shapes import (
    Columns,
    axes_of,
    eccentricity_of,
    orientation_of,
    scatter_of,
)
from bigunet.measuring.sums import ObjectSums

_ROWS = 1 << 16
"""Objects at a time: Python's integers take ten times the memory of a column."""


def table_of(sums: ObjectSums, described: Described) -> Columns:
    """Columns of the table of objects, one row an object, by frame, then by label.

    Parameters
    ----------
    sums : ObjectSums
        Of the whole volume.
    described : Described
        What the sums do not know of the volume.

    Returns
    -------
    dict of str to ndarray, (objects,)
        The columns of :func:`bigunet.measure`.

    Raises
    ------
    OptionError
        If sizes of voxels do not fit the axes.
    """
    parts = [
        _columns(sums.rows(slice(begin, begin + _ROWS)), described)
        for begin in range(0, max(1, len(sums)), _ROWS)
    ]
    return _joined(parts)


def table_bands(sums: Iterable[ObjectSums], described: Described) -> Iterator[Columns]:
    """The same table in bands of 65,536 rows (the last has fewer), from bands of sums.

    The bands do not depend on those of the sums. There is at least one, which may have no rows.
    """
    held: list[Columns] = []
    num_held = 0
    for band in sums:
        held.append(table_of(band, described))
        num_held += len(band)
        if num_held > _ROWS:
            whole = _joined(held)
            for begin in range(0, num_held - _ROWS, _ROWS):
                yield {name: column[begin : begin + _ROWS] for name, column in whole.items()}
            kept = (num_held - 1) // _ROWS * _ROWS
            held = [{name: column[kept:] for name, column in whole.items()}]
            num_held -= kept
    yield _joined(held)


def _joined(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(sums: ObjectSums, described: Described) -> Columns:
    spacing = described.spacing(sums.ndim)
    columns = {"label": sums.ids}
    if described.class_name is not None:
        columns["class"] = np.full(len(sums), described.class_name)
    columns |= described.frame_columns(sums.frames)
    columns["area"] = sums.voxels
    if spacing is not None:
        name = "area_um2" if sums.ndim == 2 else "volume_um3"
        columns[name] = sums.voxels * math.prod(spacing)
    columns |= _places(sums, spacing)
    scatter = scatter_of(sums)
    columns |= _lengths(sums, scatter, (1.0,) * sums.ndim, "")
    if spacing is not None:
        columns |= _lengths(sums, scatter, spacing, "_um")
    if sums.ndim == 2:
        sizes = spacing or (1.0, 1.0)
        columns["eccentricity"] = eccentricity_of(scatter, sums.voxels, sizes)
        columns["orientation"] = orientation_of(scatter, sums.voxels, sizes)
    for channel in sums.channels:
        columns |= grey_columns(channel, sums.voxels)
    if sums.probability is not None:
        columns["confidence"] = confidence_of(sums.probability, sums.voxels)
    columns["cut"] = sums.touches_border(described.shape)
    return columns


def _places(sums: ObjectSums, spacing: tuple[float, ...] | None) -> Columns:
    n = sums.voxels.astype(object)[:, None]
    centroids = (sums.first_moments.integers(0) / n).astype(np.float64)
    columns = {f"centroid-{axis}": centroids[:, axis] for axis in range(sums.ndim)}
    if spacing is not None:
        columns |= {f"centroid_um-{a}": centroids[:, a] * size for a, size in enumerate(spacing)}
    box = np.concatenate([sums.start, sums.stop], axis=1)
    columns |= {f"bbox-{k}": box[:, k] for k in range(2 * sums.ndim)}
    if spacing is not None:
        columns |= {f"bbox_um-{k}": box[:, k] * s for k, s in enumerate((*spacing, *spacing))}
    return columns


def _lengths(
    sums: ObjectSums, scatter: np.ndarray, spacing: tuple[float, ...], unit: str
) -> Columns:
    lengths = axes_of(scatter, sums.voxels, spacing)
    names = ("major", "minor") if sums.ndim == 2 else ("major", "middle", "minor")
    columns = {f"axis_{name}_length{unit}": length for name, length in zip(names, lengths)}
    size = sums.voxels * math.prod(spacing)
    diameter = (2 * sums.ndim * size / np.pi) ** (1 / sums.ndim)
    return columns | {f"equivalent_diameter_area{unit}": diameter}
