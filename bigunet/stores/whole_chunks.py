"""Codecs that check whether a chunk is whole; they replace the blosc codecs, which do not check.

Blosc decodes a chunk that was cut short into wrong voxels: it trusts the sizes in its header and
reads beyond the end of the chunk. All other codecs of zarr raise an error, and so do raw bytes of a
wrong length.
"""

from __future__ import annotations

import math
import struct
import warnings
from dataclasses import replace
from functools import cached_property
from typing import Any

import zarr
from numcodecs.blosc import Blosc
from numcodecs.compat import ensure_contiguous_ndarray
from zarr.abc.codec import Codec
from zarr.codecs import BloscCodec, BytesCodec, ShardingCodec, TransposeCodec
from zarr.codecs.numcodecs import Blosc as NumcodecsBlosc
from zarr.registry import get_numcodec

# Version, format, flags, size of a number; then sizes of the decoded voxels, a block, the chunk.
_HEADER = struct.Struct("<4B3I")


class DamagedChunkError(ValueError):
    """A chunk is not whole. The message needs no further words for people."""


def see_whole_chunks(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """The same array; to read a chunk that is not whole is an error."""
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        num_bytes = 0 if metadata.filters else math.prod(array.chunks) * array.dtype.itemsize
        compressor = _whole(metadata.compressor, num_bytes)
        same, changes = compressor is metadata.compressor, {"compressor": compressor}
    else:
        codecs = _checked(metadata.codecs, math.prod(array.chunks) * array.dtype.itemsize)
        same = all(a is b for a, b in zip(codecs, metadata.codecs))
        changes = {"codecs": codecs}
    if same:
        return array
    asynchronous = array._async_array
    return zarr.Array(
        zarr.AsyncArray(
            metadata=replace(metadata, **changes),
            store_path=asynchronous.store_path,
            config=asynchronous.config,
        )
    )


def check_blosc(chunk: Any, *, num_bytes: int = 0) -> None:
    """Raise a DamagedChunkError unless a chunk has the length that its header states.

    Parameters
    ----------
    chunk : bytes-like
    num_bytes : int
        Size of the decoded chunk in bytes; 0 if it is not known.
    """
    view = memoryview(ensure_contiguous_ndarray(chunk)).cast("B")
    if len(view) < _HEADER.size:
        raise DamagedChunkError(
            f"a blosc chunk is cut short: it has {len(view)} bytes; copy it again"
        )
    *_, decoded, _, stated = _HEADER.unpack_from(view)
    if stated > len(view):
        raise DamagedChunkError(
            f"a blosc chunk is cut short: its header states {stated} bytes, {len(view)} are "
            "there; copy it again"
        )
    if stated < _HEADER.size or (num_bytes and decoded != num_bytes):
        raise DamagedChunkError(
            f"a chunk is damaged: its blosc header states {decoded} bytes of voxels in {stated}"
            + ("" if not num_bytes else f", where a chunk has {num_bytes}")
        )


class WholeBlosc(Blosc):  # type: ignore[misc]
    """Blosc of numcodecs, which checks a chunk before it decodes it.

    The decoded size is checked, too, unless ``num_bytes`` is 0.
    """

    num_bytes = 0

    def decode(self, buf: Any, out: Any = None) -> Any:
        check_blosc(buf, num_bytes=self.num_bytes)
        return super().decode(buf, out)


class WholeBloscCodec(BloscCodec):
    """The blosc codec of zarr 3, with the same check."""

    num_bytes = 0

    @cached_property
    def _blosc_codec(self) -> Any:
        # Under mypy, super() does not know a cached property of the parent.
        return _whole(BloscCodec(**_settings(self))._blosc_codec, self.num_bytes)


class WholeNumcodecsBlosc(NumcodecsBlosc):
    """The codec ``numcodecs.blosc`` in zarr 3, with the same check."""

    @cached_property
    def _codec(self) -> Any:
        return _whole(get_numcodec(self.codec_config), 0)  # type: ignore[arg-type]


def _whole(codec: Any, num_bytes: int) -> Any:
    """The checking codec for a codec of numcodecs; all codecs except blosc stay the same."""
    if not isinstance(codec, Blosc):
        return codec
    settings = {name: value for name, value in codec.get_config().items() if name != "id"}
    if hasattr(codec, "typesize"):
        settings["typesize"] = codec.typesize
    checked = WholeBlosc(**settings)
    checked.num_bytes = num_bytes
    return checked


def _checked(codecs: tuple[Codec, ...], num_bytes: int) -> tuple[Codec, ...]:
    """The checking codecs for these codecs; a decoded chunk has ``num_bytes`` bytes."""
    return tuple(
        _checked_codec(codec, num_bytes if all(map(_keeps_size, codecs[:k])) else 0)
        for k, codec in enumerate(codecs)
    )


def _keeps_size(codec: Codec) -> bool:
    """Whether the output of a codec has the same size as its input."""
    return isinstance(codec, (BytesCodec, TransposeCodec))


def _checked_codec(codec: Codec, num_bytes: int) -> Codec:
    if isinstance(codec, ShardingCodec):
        # The chunk of a nested shard is smaller than that of the array.
        nested = any(isinstance(inner, ShardingCodec) for inner in codec.codecs)
        codecs = _checked(codec.codecs, 0 if nested else num_bytes)
        same = all(a is b for a, b in zip(codecs, codec.codecs))
        return codec if same else replace(codec, codecs=codecs)
    if isinstance(codec, NumcodecsBlosc):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return WholeNumcodecsBlosc(**codec.codec_config)
    if isinstance(codec, BloscCodec):
        checked = WholeBloscCodec(**_settings(codec))
        object.__setattr__(checked, "num_bytes", num_bytes)
        return checked
    return codec


def _settings(codec: BloscCodec) -> dict[str, Any]:
    names = ("typesize", "cname", "clevel", "shuffle", "blocksize")
    return {name: getattr(codec, name) for name in names}
