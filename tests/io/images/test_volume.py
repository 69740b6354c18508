"""Laws of reading boxes: they are cut from the mirrored whole, and no other chunk is read."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigunet.errors import GeometryError, ImageError, OptionError
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.mirror import mirror_indices
from bigunet.io.images.volume import VolumeReader

DTYPES = ("bool", "uint8", "int16", ">u2", "float32", ">f8")


def write_image(path: Path, voxels: np.ndarray, axes: str, **storage: object) -> str:
    """An OME-Zarr 0.4 image of one level in the storage order of ``axes``."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array("0", shape=voxels.shape, dtype=voxels.dtype, **storage)
    array[...] = voxels
    entry = {"version": "0.4", "axes": list(axes), "datasets": [{"path": "0"}]}
    group.attrs["multiscales"] = [entry]
    return str(path)


def mirrored(volume: np.ndarray, box: Box) -> np.ndarray:
    """The box, cut from the whole volume that numpy mirrors: (channel, *box.shape)."""
    before = [max(0, -start) for start in box.start]
    after = [max(0, stop - size) for stop, size in zip(box.stop, volume.shape[1:])]
    padded = np.pad(volume, [(0, 0), *zip(before, after)], mode="reflect")
    parts = (slice(a + n, b + n) for a, b, n in zip(box.start, box.stop, before))
    return padded[(slice(None), *parts)]


def random_voxels(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


@given(st.integers(1, 7), st.integers(-30, 30), st.integers(0, 30))
def test_mirroring_equals_numpy_reflect(size: int, start: int, length: int) -> None:
    padded = np.pad(np.arange(size), 60, mode="reflect")
    expected = padded[60 + start : 60 + start + length]
    np.testing.assert_array_equal(mirror_indices(start, start + length, size), expected)


def test_an_axis_without_voxels_cannot_be_mirrored() -> None:
    with pytest.raises(GeometryError, match="axis of 0 voxels cannot be mirrored"):
        mirror_indices(0, 1, 0)


@st.composite
def stored_boxes(draw: st.DrawFn) -> tuple[str, tuple[int, ...], tuple[int, ...], Box]:
    """Axes in any order, their sizes and chunks, and a box that may leave the volume."""
    extra = draw(st.sets(st.sampled_from("tcz")))
    axes = "".join(draw(st.permutations(sorted(extra | {"y", "x"}))))
    shape = tuple(draw(st.integers(1, 6)) for _ in axes)
    chunks = tuple(draw(st.integers(1, size)) for size in shape)
    start = [draw(st.integers(-9, 12)) for a in "tzyx" if a in axes]
    stop = tuple(a + draw(st.integers(0, 8)) for a in start)
    return axes, shape, chunks, Box(tuple(start), stop)


@settings(deadline=None)
@given(case=stored_boxes(), dtype=st.sampled_from(DTYPES), choice=st.randoms())
def test_a_box_reads_as_cut_from_the_mirrored_whole(
    tmp_path_factory: pytest.TempPathFactory, case: tuple, dtype: str, choice: object
) -> None:
    axes, shape, chunks, box = case
    voxels = random_voxels(shape, dtype)
    url = write_image(tmp_path_factory.mktemp("image"), voxels, axes, chunks=chunks)
    image = open_multiscale(url)
    channels = choice.choices(range(image.num_channels), k=3)
    reader = VolumeReader(image, channels=channels)
    canonical = voxels if "c" in axes else voxels[..., np.newaxis]
    names = axes if "c" in axes else axes + "c"
    canonical = canonical.transpose([names.index(a) for a in "ctzyx" if a in names])

    read = reader.read(box)

    np.testing.assert_array_equal(read, mirrored(canonical[channels], box))
    assert read.dtype == reader.dtype == np.dtype(dtype).newbyteorder("=")
    assert read.flags.c_contiguous
    assert reader.shape == canonical.shape[1:]
    assert reader.num_channels == len(channels)


def test_a_sharded_image_reads_the_same(tmp_path: Path) -> None:
    voxels = random_voxels((40, 50), "uint16")
    array = zarr.create_array(
        str(tmp_path / "a"), shape=voxels.shape, dtype="uint16", chunks=(8, 8), shards=(16, 16)
    )
    array[...] = voxels
    box = Box((-5, 30), (33, 61))
    read = VolumeReader(open_multiscale(tmp_path / "a")).read(box)
    np.testing.assert_array_equal(read, mirrored(voxels[np.newaxis], box))


@pytest.mark.parametrize(
    ("box", "needed"),
    [
        (Box((8, 0), (16, 8)), "1.0"),  # inside one chunk
        (Box((-7, 0), (0, 8)), "0.0"),  # wholly outside: what it mirrors
        (Box((56, 59), (60, 64)), "0.0"),  # a full period away
    ],
)
def test_only_chunks_under_the_mirrored_box_are_read(tmp_path: Path, box: Box, needed: str) -> None:
    voxels = random_voxels((29, 29), "uint8")
    image = open_multiscale(write_image(tmp_path / "i", voxels, "yx", chunks=(8, 8)))
    for chunk in (tmp_path / "i" / "0").glob("[0-9].[0-9]"):
        if chunk.name != needed:
            chunk.write_bytes(b"torn")
    np.testing.assert_array_equal(VolumeReader(image).read(box), mirrored(voxels[np.newaxis], box))


def test_a_channel_that_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    voxels = random_voxels((3, 8, 8), "uint8")
    image = open_multiscale(write_image(tmp_path / "i", voxels, "cyx", chunks=(1, 8, 8)))
    (tmp_path / "i" / "0" / "1.0.0").write_bytes(b"torn")
    read = VolumeReader(image, channels=(2, 0)).read(Box.of_shape((8, 8)))
    np.testing.assert_array_equal(read, voxels[[2, 0]])


def test_a_reader_pickles_without_its_open_array(tmp_path: Path) -> None:
    voxels = random_voxels((9, 9), "uint8")
    reader = VolumeReader(open_multiscale(write_image(tmp_path / "i", voxels, "yx")))
    before = pickle.dumps(reader)
    first = reader.read(Box((-2, -2), (11, 11)))
    assert pickle.dumps(reader) == before
    np.testing.assert_array_equal(pickle.loads(before).read(Box((-2, -2), (11, 11))), first)


def test_threads_share_a_reader(tmp_path: Path) -> None:
    voxels = random_voxels((64, 64), "uint16")
    url = write_image(tmp_path / "i", voxels, "yx", chunks=(16, 16))
    reader = VolumeReader(open_multiscale(url))
    boxes = [Box((k, -k), (k + 20, k + 9)) for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for box, read in zip(boxes, pool.map(reader.read, boxes)):
            np.testing.assert_array_equal(read, mirrored(voxels[np.newaxis], box))


@pytest.mark.parametrize("damage", [b"", b"torn", b"\xff" * 64])
@pytest.mark.parametrize("codec", ["auto", None])
def test_a_chunk_that_cannot_be_decoded_is_an_image_error(
    tmp_path: Path, damage: bytes, codec: str | None
) -> None:
    voxels = random_voxels((16, 16), "uint16")
    url = write_image(tmp_path / "i", voxels, "yx", chunks=(8, 8), compressors=codec)
    image = open_multiscale(url)
    (tmp_path / "i" / "0" / "1.1").write_bytes(damage)
    expected = r"box \[0:16, 3:16\] of .*/i/0: " if damage else r"/i/0/1.1: it is empty"
    with pytest.raises(ImageError, match=expected):
        VolumeReader(image).read(Box((0, 3), (16, 16)))


def test_a_codec_that_is_not_installed_is_an_image_error(tmp_path: Path) -> None:
    image = open_multiscale(write_image(tmp_path / "i", random_voxels((8, 8), "uint8"), "yx"))
    document = tmp_path / "i" / "0" / ".zarray"
    metadata = json.loads(document.read_text())
    metadata["compressor"] = {"id": "no-such-codec"}
    document.write_text(json.dumps(metadata))
    with pytest.raises(ImageError, match="no-such-codec"):
        VolumeReader(image).read(Box.of_shape((8, 8)))


def test_an_array_that_changed_its_shape_is_an_image_error(tmp_path: Path) -> None:
    image = open_multiscale(write_image(tmp_path / "i", random_voxels((8, 8), "uint8"), "yx"))
    write_image(tmp_path / "i", random_voxels((9, 8), "uint8"), "yx")
    with pytest.raises(ImageError, match=r"shape \(9, 8\), but had \(8, 8\)"):
        VolumeReader(image).read(Box.of_shape((8, 8)))


def test_an_array_that_vanished_is_an_image_error(tmp_path: Path) -> None:
    image = open_multiscale(write_image(tmp_path / "i", random_voxels((8, 8), "uint8"), "yx"))
    (tmp_path / "i").rename(tmp_path / "gone")
    with pytest.raises(ImageError, match=r"array '0' of .*/i is missing"):
        VolumeReader(image).read(Box.of_shape((8, 8)))


@pytest.mark.parametrize("level", [1, -1])
def test_a_level_out_of_range_is_refused(tmp_path: Path, level: int) -> None:
    image = open_multiscale(write_image(tmp_path / "i", random_voxels((8, 8), "uint8"), "yx"))
    with pytest.raises(OptionError, match=rf"no level {level}; choose one of: 0"):
        VolumeReader(image, level=level)


@pytest.mark.parametrize("channels", [(), (1,), (0, -1)])
def test_channels_out_of_range_are_refused(tmp_path: Path, channels: tuple[int, ...]) -> None:
    image = open_multiscale(write_image(tmp_path / "i", random_voxels((8, 8), "uint8"), "yx"))
    with pytest.raises(OptionError, match="choose one or more of 0"):
        VolumeReader(image, channels=channels)


def test_a_box_with_other_axes_than_the_volume_is_refused(tmp_path: Path) -> None:
    image = open_multiscale(write_image(tmp_path / "i", random_voxels((8, 8), "uint8"), "yx"))
    with pytest.raises(GeometryError, match="has 3 axes; the image has y, x"):
        VolumeReader(image).read(Box.of_shape((1, 8, 8)))
