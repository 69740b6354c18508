"""Laws of encoded files: zarr reads from them what was written, and a file of zeros is none."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, ZstdCodec

from bigunet.io.output.file_encoder import FileEncoder, files_of

BITS = BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", blocksize=262_144)


@settings(max_examples=30, deadline=None)
@given(
    chunks=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    per_file=st.integers(1, 3),
    extents=st.lists(st.integers(1, 12), min_size=3, max_size=3),
    dtype=st.sampled_from(["u1", "u2", "i4", "u8", "f4"]),
    version=st.sampled_from([2, 3]),
    density=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_zarr_reads_what_was_encoded(chunks, per_file, extents, dtype, version, density) -> None:
    shape = tuple(extents[: len(chunks)])
    random = np.random.default_rng(len(shape))
    values = (random.random(shape) * 100 * (random.random(shape) < density)).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        array = made(folder, shape, chunks, per_file, dtype, version)
        encoder = FileEncoder.of(array)
        assert encoder is not None
        for key, part in files_of(array, tuple(slice(0, n) for n in shape)):
            content = encoder.encode(values[part])
            assert (content is None) == (not values[part].any())
            if content is not None:
                path = Path(folder, "a", *key.split("/")[1:])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        np.testing.assert_array_equal(array[...], values, strict=True)


def made(folder, shape, chunks, per_file, dtype, version) -> zarr.Array:
    """An array as bigunet creates it."""
    if version == 2:
        form = {
            "compressors": {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 2},
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
        }
    else:
        form = {"shards": tuple(c * per_file for c in chunks), "compressors": BITS}
    return zarr.create_array(
        folder, name="a", shape=shape, chunks=tuple(chunks), dtype=dtype, fill_value=0,
        zarr_format=version, **form,
    )  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        {"compressors": ZstdCodec()},  # not Blosc
        {"compressors": None},
        {"fill_value": 3, "compressors": BITS},  # what is not stored is not 0
        {"compressors": BITS, "filters": zarr.codecs.TransposeCodec(order=(1, 0))},
        {"compressors": BITS, "shards": None},
    ],
)
def test_arrays_of_another_form_are_left_to_zarr(form, tmp_path: Path) -> None:
    usual = {"fill_value": 0, "shards": (4, 4)}
    array = zarr.create_array(
        tmp_path, shape=(8, 8), chunks=(2, 2), dtype="u1", **{**usual, **form}
    )
    assert FileEncoder.of(array) is None


def test_a_chunk_of_negative_zeros_is_stored() -> None:
    array = made_in_memory()
    encoder = FileEncoder.of(array)
    assert encoder is not None
    assert encoder.encode(np.full((4, 4), -0.0, np.float32)) is not None
    assert encoder.encode(np.zeros((4, 4), np.float32)) is None


def made_in_memory() -> zarr.Array:
    return zarr.create_array(
        {}, shape=(4, 4), chunks=(2, 2), shards=(4, 4), dtype="f4", compressors=BITS, fill_value=0
    )
