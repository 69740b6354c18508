"""The door to zarr: it opens arrays and groups, and turns each failure to read into an ImageError.

It knows nothing of OME-Zarr.
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
from bigunet.stores.addresses import open_store
from bigunet.stores.whole_chunks import DamagedChunkError, see_whole_chunks
from bigunet.urls import (
    has_bare_secret,
    lacks_host,
    local_path,
    split_query,
    with_slashes,
    without_secrets,
)
from bigunet.urls import join_url as join_url
from bigunet.urls import shown_url as shown_url

Node = zarr.Array[Any] | zarr.Group

_MAX_REASON = 300


def normal_url(url: str | Path) -> str:
    """Return the absolute path or URL without a trailing slash, the same in any process.

    Raises
    ------
    ImageError
        If the password in a URL cannot be separated from the rest, if the URL has no host or
        bucket, or if it names a file of another machine.
    """
    text = os.fspath(url)
    path = local_path(text)
    if path is not None:
        return with_slashes(os.path.abspath(path))
    if has_bare_secret(text):
        raise ImageError(
            f"the user or password in the address {shown_url(text)} holds characters that must be "
            "escaped: write / as %2F, ? as %3F, # as %23, @ as %40, a space as %20"
        )
    if lacks_host(text):
        raise ImageError(f"the address {shown_url(text)} names no host or bucket; give a whole one")
    if text.lower().startswith("file:"):
        raise ImageError(f"{text} names another machine's file, or none; give a path")
    base, query = split_query(text)
    return base.rstrip("/") + query


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn each failure to read ``what`` into an ImageError, with its cause chained.

    A MemoryError is raised unchanged: its cause is the machine, not the image.
    """
    try:
        yield
    except (BigUNetError, MemoryError):
        raise
    except ImportError as error:
        raise ImageError(f"cannot read {what}: a package is missing: {error}") from error
    # The errors of stores and codecs (OSError, zlib.error, KeyError, those of botocore and aiohttp)
    # share no base class.
    except Exception as error:
        known = _known_error(error)
        if known is not None:
            raise type(known)(str(known)) from error
        reason = _absurd_json(error)
        if reason:
            raise ImageError(f"cannot read {what}: {reason}") from error
        reason = " ".join(str(error).split())[:_MAX_REASON]
        cause = None if _shows_secrets(error) else error
        kind = "" if isinstance(error, DamagedChunkError) else f"{type(error).__name__}: "
        raise ImageError(f"cannot read {what}: {kind}{reason}") from cause


def _absurd_json(error: Exception) -> str:
    """What is wrong with JSON that no program writes; empty if the error has another cause."""
    cause = "; the file is damaged, or of something else"
    if isinstance(error, RecursionError):
        return f"its metadata are nested too deeply{cause}"
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return f"its metadata hold a number of thousands of digits{cause}"
    return ""


def _known_error(error: BaseException) -> BigUNetError | None:
    """The first error of bigunet in an exception group; zarr raises groups for parallel reads."""
    for inner in getattr(error, "exceptions", ()):
        known = inner if isinstance(inner, BigUNetError) else _known_error(inner)
        if known is not None:
            return known
    return None


def _shows_secrets(error: BaseException | None) -> bool:
    """Whether a traceback would print a password or token of a URL."""
    while error is not None:
        if without_secrets(str(error)) != str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def find_node(url: str, path: str = "") -> Node | None:
    """Open the array or group at ``path`` below ``url``, read-only; None if there is neither.

    A later read of a chunk that is not whole is an error.

    Raises
    ------
    ImageError
        If the store cannot be reached, or its metadata cannot be read.
    """
    with reading(join_url(url, path)):
        opened = open_store(join_url(url, path))
        if opened is None:
            return None
        store, inside = opened
        try:
            # Consolidated metadata lack levels and labels that were added later.
            node = zarr.open(store, path=inside, mode="r", use_consolidated=False)
        except (FileNotFoundError, NodeNotFoundError):
            return None
        return see_whole_chunks(node) if isinstance(node, zarr.Array) else node


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
