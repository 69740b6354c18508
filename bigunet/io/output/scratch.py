"""Arrays that bigunet keeps between runs for itself: bare zarr arrays, whole or not there.

Each is written under a hidden name beside its place and renamed when it is complete, so that
runs that write the same one at once, or are killed, leave no half of it there.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr

from bigunet.errors import ImageError, OutputError
from bigunet.geometry import Box, ceil_div
from bigunet.io.output.arrays import writing
from bigunet.io.stores.access import find_node

_KEY = "bigunet-scratch"
"""The attribute that bigunet's own arrays carry from their first byte on."""


class ScratchArray:
    """A float32 array that is written chunk by chunk, then marked as complete.

    Parameters
    ----------
    path : Path
        Of the zarr array.
    axes : sequence of str
    shape, chunks : sequence of int
    about : mapping
        What the values depend on, as JSON has it; an array that was kept about something else is
        not used.
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
        self._outer = Box.of_shape(tuple(shape))
        self._chunks = tuple(min(c, n) for c, n in zip(chunks, shape))
        self._about = dict(about)

    def is_complete(self) -> bool:
        """Whether all of it was written, about the same, and no chunk was lost since."""
        return self._is_whole(self._path)

    def boxes(self) -> Iterator[Box]:
        """The chunks."""
        shape = self._outer.shape
        counts = [ceil_div(n, c) for n, c in zip(shape, self._chunks)]
        for cell in np.ndindex(*counts):
            start = tuple(int(k) * c for k, c in zip(cell, self._chunks))
            stop = tuple(min(a + c, n) for a, c, n in zip(start, self._chunks, shape))
            yield Box(start, stop)

    def write(self, values: Iterable[tuple[Box, np.ndarray]]) -> None:
        """Write it, unless it is complete; of runs that do so at once, the first one's is kept.

        What killed runs on this machine left of the same array is removed; what those on other
        machines left stays, because nobody here knows whether they live.

        Parameters
        ----------
        values : iterable of (Box, ndarray)
            One for each of :meth:`boxes`, in any order.

        Raises
        ------
        OutputError
            If it cannot be written, or something that is not bigunet's is there.
        """
        if self.is_complete():
            return
        partial = self._partial()
        with writing(str(self._path)):
            self._remove_stale()
            if self.is_complete():
                return
            try:
                self._fill(partial, values)
                self._put(partial)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def _is_whole(self, path: Path) -> bool:
        kept = _array_at(path)
        return (
            kept is not None
            and kept.attrs.get(_KEY) == self._mark(complete=True)
            and kept.shape == self._outer.shape
            and kept.nchunks_initialized == kept.nchunks
        )

    def _mark(self, *, complete: bool) -> dict[str, Any]:
        return {"about": self._about, "complete": complete}

    def _fill(self, partial: Path, values: Iterable[tuple[Box, np.ndarray]]) -> None:
        array = zarr.create_array(
            str(partial),
            shape=self._outer.shape,
            chunks=self._chunks,
            dtype="float32",
            dimension_names=self._axes,
            attributes={_KEY: self._mark(complete=False)},
            # Chunks of zeros too: one that is missing was lost.
            config={"write_empty_chunks": True},
        )
        for box, chunk in values:
            array[box.within(self._outer)] = chunk
        array.attrs[_KEY] = self._mark(complete=True)

    def _put(self, partial: Path) -> None:
        if not self._is_whole(partial):
            raise OutputError(f"{partial} lost chunks while it was written; run again")
        try:
            partial.rename(self._path)
        except OSError:
            # Another run was first: its values are the same.
            if not self.is_complete():
                raise

    def _partial(self) -> Path:
        told = f"{self._partial_prefix()}{os.getpid()}-{uuid.uuid4().hex[:8]}.partial"
        return self._path.with_name(told)

    def _partial_prefix(self) -> str:
        return f".{self._path.name}.{platform.node()}-"

    def _remove_stale(self) -> None:
        """Remove an array of bigunet's that is not this one, and partial ones of dead processes."""
        if os.path.lexists(self._path):
            stale = _array_at(self._path)
            if stale is None or _KEY not in stale.attrs:
                raise OutputError(
                    f"{self._path} is no array that bigunet keeps for itself; choose another folder"
                )
            aside = self._partial()
            self._path.rename(aside)
            if self._is_whole(aside):
                # Another run has put it there since it was looked at.
                aside.rename(self._path)
            else:
                shutil.rmtree(aside)
        pattern = re.compile(re.escape(self._partial_prefix()) + r"(\d+)-[0-9a-f]{8}\.partial")
        for path in self._path.parent.glob(".*.partial"):
            found = pattern.fullmatch(path.name)
            if found and not psutil.pid_exists(int(found[1])):
                shutil.rmtree(path, ignore_errors=True)


def _array_at(path: Path) -> zarr.Array[Any] | None:
    try:
        found = find_node(str(path))
    except ImageError:
        return None
    return found if isinstance(found, zarr.Array) else None
