"""Arrays as the bytes of an npz file, and back: nothing is pickled, and damage is seen."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from bigunet.errors import OutputError

DAMAGE = (
    AttributeError,  # another array, which is no npz
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,  # a damaged flag says that the file is encrypted
    SyntaxError,  # a damaged header of an array
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading damaged bytes raises."""


def npz_bytes(arrays: Mapping[str, np.ndarray], *, compressed: bool) -> bytes:
    """The bytes of an npz file: equal arrays give equal bytes."""
    file = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(file, allow_pickle=False, **arrays)
    return file.getvalue()


def npz_arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an npz file; damage raises one of `DAMAGE`."""
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        # Checksums first: a damaged header could ask for any amount of memory.
        if damaged := whole.testzip():
            raise ValueError(f"{damaged} is damaged")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@contextmanager
def reading_npz(content: bytes, what: str, again: str) -> Iterator[None]:
    """Turn damage of the bytes into an error of one line.

    Parameters
    ----------
    content : bytes
    what : str
        What the bytes should be, such as ``"the holes of a block"``.
    again : str
        What happens when their file is deleted, such as ``"the block is labelled again"``.

    Raises
    ------
    OutputError
        If one of `DAMAGE` is raised within.
    """
    try:
        yield
    except DAMAGE as error:
        raise OutputError(
            f"{len(content)} bytes are not {what} ({error}); delete their file, and {again}"
        ) from error
