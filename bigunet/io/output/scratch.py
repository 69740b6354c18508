"""Bare zarr arrays that bigunet keeps for itself between runs; each is complete or missing.

An array is written under a hidden name in the same folder, and renamed when it is complete. So a
killed run, or several runs that write the same array at once, never leave an incomplete one.
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
from bigunet.io.output.writing import writing
from bigunet.stores.access import find_node

_KEY = "bigunet-scratch"
"""The attribute by which bigunet recognises its own arrays, even incomplete ones."""


class ScratchArray:
    """A float32 array that is written chunk by chunk, then marked as complete.

    Parameters
    ----------
    path : Path
        Path of the zarr array.
    axes : sequence of str
    shape, chunks : sequence of int
    about : mapping
        Everything that the values depend on, as JSON. An existing array with another ``about`` is
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
        """Whether the array exists with the same ``about``, and has all of its chunks."""
        return self._is_whole(self._path)

    def boxes(self) -> Iterator[Box]:
        """The box of each chunk."""
        shape = self._outer.shape
        counts = [ceil_div(n, c) for n, c in zip(shape, self._chunks)]
        for cell in np.ndindex(*counts):
            start = tuple(int(k) * c for k, c in zip(cell, self._chunks))
            stop = tuple(min(a + c, n) for a, c, n in zip(start, self._chunks, shape))
            yield Box(start, stop)

    def write(self, values: Iterable[tuple[Box, np.ndarray]]) -> None:
        """Write the array, unless it is complete. If several runs write it, the first one wins.

        Partial arrays of killed runs on this machine are removed. Those of other machines stay,
        because this machine does not know whether their runs are alive.

        Parameters
        ----------
        values : iterable of (Box, ndarray)
            One pair for each box of :meth:`boxes`, in any order.

        Raises
        ------
        OutputError
            If the array cannot be written, or its path holds something that is not bigunet's.
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
            # Chunks of zeros are written, too, because a missing chunk means a lost chunk.
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
            # Another run was faster; its values are the same.
            if not self.is_complete():
                raise

    def _partial(self) -> Path:
        name = f"{self._partial_prefix()}{os.getpid()}-{uuid.uuid4().hex[:8]}.partial"
        return self._path.with_name(name)

    def _partial_prefix(self) -> str:
        return f".{self._path.name}.{platform.node()}-"

    def _remove_stale(self) -> None:
        """Remove an array with another ``about``, and partial arrays of dead processes."""
        if os.path.lexists(self._path):
            stale = _array_at(self._path)
            if stale is None or _KEY not in stale.attrs:
                raise OutputError(
                    f"{self._path} is no array that bigunet keeps for itself; choose another folder"
                )
            aside = self._partial()
            self._path.rename(aside)
            if self._is_whole(aside):
                # Another run has put the array there since the check.
                aside.rename(self._path)
            else:
                shutil.rmtree(aside)
        pattern = re.compile(re.escape(self._partial_prefix()) + r"(\d+)-[0-9a-f]{8}\.partial")
        for path in self._path.parent.glob(".*.partial"):
            match = pattern.fullmatch(path.name)
            if match and not psutil.pid_exists(int(match[1])):
                shutil.rmtree(path, ignore_errors=True)


def _array_at(path: Path) -> zarr.Array[Any] | None:
    try:
        node = find_node(str(path))
    except ImageError:
        return None
    return node if isinstance(node, zarr.Array) else None
