"""The table of objects inside an OME-Zarr, as ngio and Fractal read it: features, and boxes."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import OutputError
from bigunet.io.output.table_group import MADE_BY_KEY, VERB_KEY, replacing_table_group
from bigunet.measuring.files import has_parquet, opened_table
from bigunet.measuring.grey_columns import Columns

BOXES = "_ROI_table"
"""What follows the name of the table in that of the table of boxes."""

_CATEGORICAL = ("class", "cut")
_PLACES = ("label", "t", "z", "y", "x")

_INDEX = {"index_key": "label", "index_type": "int", "instance_key": "label"}


def write_image_tables(
    bands: Iterable[Columns],
    image: str | Path,
    name: str,
    *,
    labels: str,
    frame_sizes: Mapping[str, float] | None = None,
    axes: Sequence[str] = (),
    verb: str = "measure",
    is_unique: bool = True,
) -> None:
    """Write the table of objects as ``tables/NAME``, and their boxes as ``tables/NAME_ROI_table``.

    Both are Parquet where pyarrow is installed, else CSV. The boxes are in micrometres, and are
    left out where the table has none. Each table is written whole or not at all.

    Parameters
    ----------
    bands : iterable of dict of str to ndarray, (rows,)
        Bands of rows, at least one, as :func:`bigunet.measuring.table.table_bands` gives them; one
        at a time is in memory.
    image : str or Path
        A local OME-Zarr image, version 0.4 or 0.5.
    name : str
        Of the table.
    labels : str
        Name of the label image that the objects are in, in ``labels/`` of the image.
    frame_sizes : mapping of str to float, optional
        Seconds of a frame by axis ``t``, or micrometres of a plane by the axis across it; 1 by
        default.
    axes : sequence of str, optional
        Names of the axes that are measured; by default the last of z, y, x.
    verb : {"measure", "segment"}
        Which verb makes the table: ``measure`` does not replace those of ``segment``.
    is_unique : bool
        Whether a label has one row. Otherwise, the table has no index, and no boxes are written.

    Raises
    ------
    OutputError
        If the image is no local folder, a label is 2**63 or more, or a file cannot be written.
    """
    suffix = ".parquet" if has_parquet() else ".csv"
    iterator = iter(bands)
    first = next(iterator)
    sizes = dict(frame_sizes or {})
    kinds = {name: _features(first) if is_unique else {"type": "generic_table"}}
    if is_unique and _boxes(first, sizes, axes):
        kinds[name + BOXES] = {"type": "masking_roi_table"} | _INDEX
    with contextlib.ExitStack() as stack:
        writers = []
        # Who enters last leaves first: the features are there before their boxes.
        for table, kind in reversed(kinds.items()):
            attributes = _attributes(labels, suffix, verb) | kind
            folder = stack.enter_context(replacing_table_group(image, table, attributes))
            writers.append(stack.enter_context(opened_table(folder / f"table{suffix}", suffix)))
        for band in itertools.chain([first], iterator):
            band = band | {"label": _signed(band["label"])}
            for write, rows in zip(reversed(writers), (band, _boxes(band, sizes, axes))):
                write(rows)


def _attributes(labels: str, suffix: str, verb: str) -> dict[str, Any]:
    return {
        "table_version": "1",
        "fractal_table_version": "1",
        "region": {"path": f"../labels/{labels}"},
        "backend": suffix.removeprefix("."),
        MADE_BY_KEY: {"version": version("bigunet"), VERB_KEY: verb},
    }


def _features(band: Columns) -> dict[str, Any]:
    categorical = [name for name in _CATEGORICAL if name in band]
    measured = [name for name in band if name not in (*_CATEGORICAL, *_PLACES)]
    return {
        "type": "feature_table",
        "categorical_columns": categorical,
        "measurement_columns": measured,
        "metadata_columns": [name for name in _PLACES[1:] if name in band],
        **_INDEX,
    }


def _boxes(band: Columns, sizes: Mapping[str, float], axes: Sequence[str]) -> Columns:
    """Corner and lengths of each object's bounding box; empty if there are no micrometres."""
    ends = [name for name in band if name.startswith("bbox_um-")]
    if not ends:
        return {}
    ndim = len(ends) // 2
    start, stop = ([band[f"bbox_um-{k + side * ndim}"] for k in range(ndim)] for side in (0, 1))
    names = axes or "zyx"[-ndim:]
    corner = dict(zip(names, start))
    length = {axis: end - begin for axis, begin, end in zip(names, start, stop)}
    for axis in set("xyz") - set(names):
        step = sizes.get(axis, 1.0)
        corner[axis] = band.get(axis, np.zeros(len(start[0]))) * step
        length[axis] = np.full(len(start[0]), step)
    columns = {"label": band["label"]}
    columns |= {f"{axis}_micrometer": corner[axis] for axis in "xyz"}
    columns |= {f"len_{axis}_micrometer": length[axis] for axis in "xyz"}
    if "t" in band:
        columns["t_second"] = band["t"] * sizes.get("t", 1.0)
        columns["len_t_second"] = np.full(len(start[0]), sizes.get("t", 1.0))
    return columns


def _signed(labels: np.ndarray) -> np.ndarray:
    """Labels as ngio has them."""
    if labels.dtype.kind == "u" and len(labels) and int(labels.max()) >= 2**63:
        raise OutputError(
            f"label {labels.max()} is too large for a table in an image; give --table FILE.csv"
        )
    return labels.astype(np.int64)
