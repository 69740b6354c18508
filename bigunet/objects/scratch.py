"""Columns of numbers that may be too long for memory: these lie in files without names.

A file without a name vanishes with the process, whatever ends it. Nothing here knows what the
numbers mean.
"""

from __future__ import annotations

import contextlib
import errno
import tempfile
from dataclasses import dataclass, field
from io import SEEK_END, BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import numpy as np
import numpy.typing as npt

_HELD_BYTES = 2**25
"""Bytes of a column that lie in memory, before all of them go to a file."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Numbers of one type, one after the other, of which any part is read or written.

    Parameters
    ----------
    file : binary file
    dtype : dtype
    """

    file: IO[bytes]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.file.seek(0, SEEK_END) // self.dtype.itemsize

    def append(self, values: np.ndarray) -> None:
        """Write numbers after the last."""
        self.file.seek(0, SEEK_END)
        self.file.write(values.astype(self.dtype, copy=False).tobytes())

    def write(self, begin: int, values: np.ndarray) -> None:
        """Write numbers from a place on; zeros fill what lies between the end and this place."""
        self.file.seek(begin * self.dtype.itemsize)
        self.file.write(values.astype(self.dtype, copy=False).tobytes())

    def read(self, begin: int, end: int) -> np.ndarray:
        """The numbers of a range that was written.

        Raises
        ------
        OSError
            If the file has lost some of them.
        """
        num_bytes = (end - begin) * self.dtype.itemsize
        self.file.seek(begin * self.dtype.itemsize)
        content = self.file.read(num_bytes)
        if len(content) < num_bytes:
            raise OSError(errno.EIO, f"{num_bytes} bytes were written, {len(content)} are left")
        return np.frombuffer(content, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Scratch:
    """Makes columns, and closes them at its end.

    Parameters
    ----------
    folder : Path, optional
        Folder of the files without names. By default all columns lie in memory.
    held_bytes : int
        Bytes of a column that lie in memory before it goes to a file: 1 or more.

    Examples
    --------
    >>> with Scratch() as scratch:
    ...     column = scratch.column(np.int64)
    ...     column.append(np.arange(5))
    ...     column.write(1, np.array([70]))
    ...     column.read(0, 3).tolist(), len(column)
    ([0, 70, 2], 5)
    """

    folder: Path | None = None
    held_bytes: int = _HELD_BYTES
    _files: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def column(self, dtype: npt.DTypeLike) -> Column:
        """A new column.

        Raises
        ------
        OSError
            When numbers are written, if the folder has no space left.
        """
        if self.folder is None:
            return Column(BytesIO(), np.dtype(dtype))
        file = tempfile.SpooledTemporaryFile(self.held_bytes, dir=str(self.folder))  # noqa: SIM115
        return Column(cast(IO[bytes], self._files.enter_context(file)), np.dtype(dtype))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()
