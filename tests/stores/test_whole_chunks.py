"""With each codec, a chunk cut short is an error or gives the right voxels, never wrong ones."""

from __future__ import annotations

import random
import struct
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr.codecs import numcodecs as named

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.volume import VolumeReader

SIZE = 48
VOXELS = (np.add.outer(np.arange(SIZE) // 3, np.arange(SIZE) // 5) * 257).astype("uint16")
NOISE = np.random.default_rng(0).integers(1, 60000, (SIZE, SIZE)).astype("uint16")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    CODECS: dict[str, tuple[int, Any]] = {
        "3 raw": (3, None),
        "3 blosc zstd": (3, BloscCodec(cname="zstd")),
        "3 blosc lz4": (3, BloscCodec(cname="lz4", shuffle="noshuffle")),
        "3 blosc after zstd": (3, [ZstdCodec(), BloscCodec(cname="lz4")]),
        "3 numcodecs.blosc": (3, named.Blosc(cname="lz4")),
        "3 numcodecs.lz4": (3, named.LZ4()),
        "3 zstd": (3, ZstdCodec()),
        "3 gzip": (3, GzipCodec()),
        "3 crc32c": (3, [Crc32cCodec()]),
        "2 raw": (2, None),
        "2 blosc blosclz": (2, numcodecs.Blosc("blosclz")),
        "2 blosc bitshuffle": (2, numcodecs.Blosc("zstd", shuffle=2)),
        "2 zstd": (2, numcodecs.Zstd()),
        "2 zlib": (2, numcodecs.Zlib()),
        "2 gzip": (2, numcodecs.GZip()),
        "2 bz2": (2, numcodecs.BZ2()),
        "2 lzma": (2, numcodecs.LZMA()),
        "2 lz4": (2, numcodecs.LZ4()),
    }


def write(path: Path, codec: str, voxels: np.ndarray, **more: Any) -> Path:
    """Write an array; return the file of its first chunk or shard."""
    zarr_format, compressors = CODECS[codec]
    zarr.create_array(
        path, data=voxels, chunks=(16, 16), zarr_format=zarr_format, compressors=compressors, **more
    )
    return path / ("0.0" if zarr_format == 2 else "c/0/0")


def is_refused(path: Path, voxels: np.ndarray, box: Box) -> bool:
    """Whether reading a box is an error; if not, the voxels are checked."""
    try:
        values = VolumeReader(open_multiscale(path)).read(box)[0]
    except ImageError:
        return True
    np.testing.assert_array_equal(values, voxels[box.within(Box.of_shape(voxels.shape))])
    return False


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr")
@pytest.mark.parametrize("codec", CODECS)
def test_a_chunk_cut_short_never_gives_wrong_voxels(tmp_path: Path, codec: str) -> None:
    for name, voxels in (("smooth", VOXELS), ("noise", NOISE)):
        path = tmp_path / name
        file = write(path, codec, voxels)
        whole = file.read_bytes()
        assert not is_refused(path, voxels, Box((0, 0), (SIZE, SIZE)))
        lengths = random.Random(0).sample(range(len(whole)), min(len(whole), 25))
        for length in [0, len(whole) - 1, *lengths]:
            file.write_bytes(whole[:length])
            assert is_refused(path, voxels, Box((0, 0), (5, 20)))


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr")
@pytest.mark.parametrize("index", ["start", "end"])
@pytest.mark.parametrize("codec", [name for name in CODECS if name.startswith("3")])
def test_a_shard_cut_short_never_gives_wrong_voxels(tmp_path: Path, codec: str, index: str) -> None:
    compressors = CODECS[codec][1]
    path = tmp_path / "a"
    zarr.create_array(
        path,
        shape=(SIZE, SIZE),
        dtype="uint16",
        chunks=(16, 16),
        shards={"shape": (48, 48), "index_location": index},
        compressors=compressors,
        fill_value=5,
    )[...] = NOISE
    file = path / "c/0/0"
    whole = file.read_bytes()
    refused = 0
    lengths = random.Random(1).sample(range(len(whole)), 15)
    for length in [0, 1, len(whole) - 1, *lengths]:
        file.write_bytes(whole[:length])
        for box in (Box((0, 0), (SIZE, SIZE)), Box((33, 33), (40, 47)), Box((0, 0), (4, 4))):
            refused += is_refused(path, NOISE, box)
    assert refused >= 2 * len(lengths)


@pytest.mark.parametrize("codec", ["3 blosc lz4", "2 blosc blosclz"])
def test_a_blosc_header_with_a_wrong_size_is_refused_before_decoding(
    tmp_path: Path, codec: str
) -> None:
    file = write(tmp_path / "a", codec, NOISE)
    whole = bytearray(file.read_bytes())
    struct.pack_into("<I", whole, 4, 2**31 - 1)
    file.write_bytes(whole)
    with pytest.raises(ImageError, match=r"states 2147483647 bytes .* where a chunk has 512"):
        VolumeReader(open_multiscale(tmp_path / "a")).read(Box((0, 0), (1, 1)))


def test_an_empty_chunk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "a", "3 zstd", NOISE, shards=(32, 32))
    file.write_bytes(b"")
    with pytest.raises(ImageError, match=r"a/c/0/0: it is empty \(0 bytes\)"):
        VolumeReader(open_multiscale(tmp_path / "a")).read(Box((0, 0), (1, 1)))
