"""The door to zarr: finds nodes, and turns whatever a store or codec raises into an ImageError.

It knows arrays and groups only, nothing of OME-Zarr.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr
from zarr.errors import NodeNotFoundError

from bigunet.errors import BigUNetError, ImageError

Node = zarr.Array[Any] | zarr.Group

_MAX_REASON = 300


def normal_url(url: str | Path) -> str:
    """Return the absolute path or URL without a trailing slash, the same in any process."""
    text = os.fspath(url)
    return text.rstrip("/") if "://" in text else os.path.abspath(text)


def join_url(url: str, path: str) -> str:
    """Return the address of ``path`` below ``url``."""
    return f"{url.rstrip('/')}/{path}" if path else url


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn every failure to read ``what`` into an ImageError, with its cause chained.

    Running out of memory is left as it is: it tells of the machine, not of the image.
    """
    try:
        yield
    except (BigUNetError, MemoryError):
        raise
    except ImportError as error:
        raise ImageError(f"cannot read {what}: a package is missing: {error}") from error
    # Stores and codecs share no base class: OSError, botocore's, aiohttp's, zlib.error, KeyError.
    except Exception as error:
        reason = " ".join(str(error).split())[:_MAX_REASON]
        raise ImageError(f"cannot read {what}: {type(error).__name__}: {reason}") from error


def find_node(url: str, path: str = "") -> Node | None:
    """Open the array or group at ``path`` below ``url``, read-only; None where there is neither.

    Raises
    ------
    ImageError
        If the store cannot be reached, or its metadata cannot be read.
    """
    with reading(join_url(url, path)):
        try:
            # Consolidated metadata goes stale when levels or labels are added; never trusted.
            return zarr.open(url, path=path, mode="r", use_consolidated=False)
        except (FileNotFoundError, NodeNotFoundError):
            return None


def open_array(url: str, path: str = "") -> zarr.Array[Any]:
    """Open the zarr array at ``path`` below ``url``, read-only.

    Raises
    ------
    ImageError
        If there is no array, or it cannot be read.
    """
    node = find_node(url, path)
    if node is None:
        raise ImageError(f"array {path!r} of {url} is missing; the image is incomplete")
    if isinstance(node, zarr.Group):
        raise ImageError(f"{path!r} of {url} is a zarr group where an array should be")
    return node
