"""Arrays that bigunet keeps between runs for itself: bare zarr arrays, complete or begun anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from bigunet.errors import OutputError
from bigunet.geometry import Box, ceil_div

_KEY = "bigunet-scratch"


class ScratchArray:
    """A float32 array that is written chunk by chunk, then marked as complete.

    Parameters
    ----------
    path : Path
        Of the zarr array.
    axes : sequence of str
    shape, chunks : sequence of int
    about : mapping
        What the values depend on; an array that was kept about something else is not used.
    """

    def __init__(
        self,
        path: Path,
        axes: Sequence[str],
        shape: Sequence[int],
        chunks: Sequence[int],
        about: Mapping[str, Any],
    ) -> None:
        self._path = path
        self._axes = tuple(axes)
        self._shape = tuple(shape)
        self._chunks = tuple(min(c, n) for c, n in zip(chunks, shape))
        self._about = dict(about)

    def is_complete(self) -> bool:
        """Whether all of it was written, about the same."""
        try:
            kept = zarr.open_array(str(self._path), mode="r")
        except (FileNotFoundError, ValueError, KeyError):
            return False
        return kept.attrs.get(_KEY) == self._about and kept.shape == self._shape

    def boxes(self) -> Iterator[Box]:
        """The chunks."""
        counts = [ceil_div(n, c) for n, c in zip(self._shape, self._chunks)]
        for cell in np.ndindex(*counts):
            start = tuple(int(k) * c for k, c in zip(cell, self._chunks))
            stop = tuple(min(a + c, n) for a, c, n in zip(start, self._chunks, self._shape))
            yield Box(start, stop)

    def write(self, values: Iterator[tuple[Box, np.ndarray]]) -> None:
        """Write it anew.

        Raises
        ------
        OutputError
            If it cannot be written, or something else is there.
        """
        try:
            if self._path.exists():
                self._remove()
            array = zarr.create_array(
                str(self._path),
                shape=self._shape,
                chunks=self._chunks,
                dtype="float32",
                dimension_names=self._axes,
            )
            for box, chunk in values:
                array[tuple(slice(a, b) for a, b in zip(box.start, box.stop))] = chunk
            array.attrs[_KEY] = self._about
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error}") from error

    def _remove(self) -> None:
        if not (self._path / "zarr.json").is_file() or self._path.suffix != ".zarr":
            raise OutputError(f"{self._path} is no array of bigunet; choose another folder")
        shutil.rmtree(self._path)
