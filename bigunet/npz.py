"""Arrays as the bytes of an npz file, and back: nothing is pickled, and damage is seen."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

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
