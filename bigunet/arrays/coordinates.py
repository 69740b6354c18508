"""What the coordinates of an xarray say: sizes of voxels and names of channels; and back to them.

Xarray is not imported: an array that is given brings its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bigunet.io.images.units import to_um

CLASS_AXIS = "class"
_UNITS = ("units", "unit")
_EVEN = 1e-3
"""Steps are even if they differ by less than this share; coordinates are often rounded."""


def sizes_of_coordinates(array: Any, letters: str) -> dict[str, float]:
    """Micrometres per voxel of the axes with even coordinates in a unit of length.

    Parameters
    ----------
    array : xarray.DataArray
    letters : str
        The letter of each of its axes.
    """
    sizes = {}
    for name, letter in zip(array.dims, letters):
        if letter in "zyx" and name in array.coords:
            size = _step_um(array.coords[name])
            if size is not None:
                sizes[letter] = size
    return sizes


def _step_um(coordinate: Any) -> float | None:
    unit = next((coordinate.attrs[key] for key in _UNITS if key in coordinate.attrs), None)
    factor = to_um(unit) if isinstance(unit, str) else None
    values = np.asarray(coordinate)
    if factor is None or values.ndim != 1 or len(values) < 2 or values.dtype.kind not in "iuf":
        return None
    steps = np.diff(values.astype(np.float64))
    mean = float(steps.mean())
    if mean == 0 or not np.all(np.abs(steps - mean) <= _EVEN * abs(mean)):
        return None
    return abs(mean) * factor


def channel_names(array: Any, letters: str) -> tuple[str, ...]:
    """Names of the channels where their coordinate is text; else empty names."""
    if "c" not in letters:
        return ("",)
    axis = letters.index("c")
    name = array.dims[axis]
    values = np.asarray(array.coords[name]) if name in array.coords else np.empty(0)
    if values.ndim == 1 and values.dtype.kind in "UOT" and all(isinstance(v, str) for v in values):
        return tuple(str(value) for value in values)
    return ("",) * int(array.shape[axis])


class Coordinates:
    """Puts the coordinates of an xarray on what was made of it.

    Parameters
    ----------
    array : xarray.DataArray
    letters : str
        The letter of each of its axes.
    region : mapping of str to (int, int)
        Start and stop by letter, where only a part of the array was segmented.
    """

    def __init__(self, array: Any, letters: str, region: Mapping[str, tuple[int, int]]) -> None:
        dims = dict(zip(letters, array.dims))
        array = array.isel({dims[letter]: slice(*ends) for letter, ends in region.items()})
        if "c" in dims:
            of_channels = [n for n, one in array.coords.items() if dims["c"] in one.dims]
            array = array.drop_vars(of_channels).isel({dims["c"]: 0}, drop=True)
        array = array.copy(deep=False)
        array.attrs = {}
        self._like = array

    def on(self, values: np.ndarray, name: str, classes: Sequence[str] = ()) -> Any:
        """A DataArray of these values; with classes, its first axis has their names."""
        like = self._like.expand_dims({CLASS_AXIS: list(classes)}) if classes else self._like
        made = like.copy(deep=False, data=values)
        made.name = name
        return made
