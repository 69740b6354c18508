"""Laws of sources: boxes, percentiles and copies do not depend on how an image is stored."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bigunet.errors import GeometryError, ImageError, OptionError
from bigunet.geometry import Box
from bigunet.io.files.rasters import RasterReader, describe_raster
from bigunet.io.images.decoded import DecodedImages
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.intensity import percentiles, percentiles_of_levels
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.sources import source as module
from bigunet.io.sources.source import Source, open_source

KINDS = ("array", "ome", "tif", "lzw", "png")


def write_as(kind: str, folder: Path, voxels: np.ndarray) -> Path:
    """A grey image (y, x) stored as one of the kinds."""
    path = folder / f"{kind}.{ {'tif': 'tif', 'lzw': 'tif', 'png': 'png'}.get(kind, 'zarr') }"
    if kind == "png":
        Image.fromarray(voxels).save(path)
    elif kind == "tif":
        tifffile.imwrite(path, voxels, compression="zlib", rowsperstrip=4)
    elif kind == "lzw":
        Image.fromarray(voxels).save(path, compression="tiff_lzw")
    elif kind == "array":
        write_array(path, voxels)
    else:
        write_ome(path, [voxels])
    return path


def write_array(path: Path, voxels: np.ndarray) -> Path:
    array = zarr.create_array(
        str(path), shape=voxels.shape, chunks=(5,) * voxels.ndim, dtype=voxels.dtype
    )
    array[...] = voxels
    return path


def write_ome(
    path: Path, levels: list[np.ndarray], unit: str = "nanometer", names: str = "yx"
) -> Path:
    """Levels that halve along the last two axes; a voxel of level 0 is 250 units."""
    group = zarr.open_group(str(path), mode="w")
    datasets = []
    for k, voxels in enumerate(levels):
        array = group.create_array(str(k), shape=voxels.shape, dtype=voxels.dtype)
        array[...] = voxels
        scale = [1.0 if name in "tc" else 250.0 * 2**k for name in names]
        datasets.append(
            {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    others = {"c": {"type": "channel"}, "t": {"type": "time", "unit": "second"}}
    axes = [{"name": a, **others.get(a, {"type": "space", "unit": unit})} for a in names]
    metadata = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    group.attrs["ome"] = {**metadata, "omero": {"channels": [{"label": "dna"}, {"label": "actin"}]}}
    return path


def padded(voxels: np.ndarray, box: Box) -> np.ndarray:
    """The box, cut from the volume that numpy mirrors."""
    reach = 64
    wide = np.pad(voxels, reach, mode="reflect")
    return wide[tuple(slice(a + reach, b + reach) for a, b in zip(box.start, box.stop))]


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    corner=st.tuples(st.integers(-30, 30), st.integers(-30, 30)),
    extent=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    is_kept=st.booleans(),
)
def test_a_box_is_cut_from_the_whole_that_numpy_mirrors(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    shape: tuple[int, int],
    corner: tuple[int, int],
    extent: tuple[int, int],
    is_kept: bool,
) -> None:
    voxels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    source = open_source(write_as(kind, tmp_path_factory.mktemp("image"), voxels))
    box = Box(corner, tuple(a + n for a, n in zip(corner, extent)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_MAX_DECODED", 2**20 if is_kept else 0)
        read = source.read(box)
    np.testing.assert_array_equal(read, padded(voxels, box)[np.newaxis])
    assert (source.shape, source.axes, source.num_channels) == (shape, ("y", "x"), 1)
    assert read.dtype == source.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(("tif", "png")),
    dtype=st.sampled_from(("uint8", "uint16", "float32", "int16")),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    quantiles=st.lists(st.floats(0, 100), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_percentiles_of_a_file_are_those_that_segment_takes_of_the_same_zarr(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    dtype: str,
    shape: tuple[int, int],
    quantiles: list[float],
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("image")
    dtype = dtype if kind == "tif" else "uint8"
    voxels = np.random.default_rng(seed).integers(0, 50, shape).astype(dtype)
    if dtype == "float32":
        voxels.flat[: voxels.size // 2] = np.nan
    values = open_source(write_as(kind, folder, voxels)).percentiles(quantiles)
    stored = write_as("array", folder, voxels)
    expected = percentiles(open_multiscale(stored), quantiles, channels=[0]).values
    assert values == expected == open_source(stored).percentiles(quantiles)


def test_percentiles_are_those_of_the_whole_image_whatever_level_and_channels_are_read(
    tmp_path: Path,
) -> None:
    voxels = np.random.default_rng(0).integers(0, 200, (2, 32, 32)).astype(np.uint8)
    voxels[1] += 50
    image = write_ome(tmp_path / "a.zarr", [voxels, voxels[:, ::2, ::2]], names="cyx")
    expected = percentiles(open_multiscale(image), (1, 99), channels=[1, 0]).values
    for level in range(2):
        source = open_source(image, level=level, channels=["actin", 0])
        assert source.percentiles((1, 99)) == expected
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        planes = voxels.transpose(1, 2, 0)
        tiff.write(planes, subifds=1, photometric="minisblack", planarconfig="contig")
        tiff.write(planes[::2, ::2], subfiletype=1, photometric="minisblack", planarconfig="contig")
    for level in range(2):
        values = open_source(tmp_path / "a.tif", level=level, channels=[1, 0]).percentiles((1, 99))
        assert values == expected


@pytest.mark.parametrize(
    ("storage", "side"),
    [
        ({"tile": (64, 64), "compression": "zlib"}, 64),
        ({}, 256),  # one strip as large as the page
    ],
)
def test_a_huge_file_gives_percentiles_of_squares_from_all_over_it(
    tmp_path: Path, storage: dict, side: int
) -> None:
    """Of a ramp, evenly spread squares give nearly the percentiles of all."""
    ramp = np.add.outer(np.arange(1200), 1000 * np.arange(800)).astype(np.int32)
    tifffile.imwrite(tmp_path / "a.tif", ramp, **storage)
    image = describe_raster(str(tmp_path / "a.tif"))
    exact = percentiles_of_levels(image, partial(open_level, image), QUANTILES, channels=[0])
    assert not exact.sampled
    boxes: list[Box] = []
    budget = ramp.size // 2
    sample = percentiles_of_levels(
        image, partial(open_level, image, boxes=boxes), QUANTILES, channels=[0], max_voxels=budget
    )
    assert sample.sampled
    np.testing.assert_allclose(sample.values[0], exact.values[0], atol=1000 * side)
    assert sum(box.size for box in boxes) <= budget
    assert max(box.size for box in boxes) == side**2


QUANTILES = (10, 50, 90)


def open_level(
    image: ImageDescription, level: int, channels: Sequence[int], boxes: list[Box] | None = None
) -> RasterReader:
    """A reader of a TIFF that appends the boxes that it reads to a list."""

    class Listed(RasterReader):
        def read(self, box: Box) -> np.ndarray:
            if boxes is not None:
                boxes.append(box)
            return super().read(box)

    return Listed(image, level=level, channels=channels)


def test_an_image_without_finite_voxels_or_a_quantile_above_100_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((9, 9), np.nan, np.float32))
    source = open_source(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"channel 0 of .*a\.tif has no finite voxel"):
        source.percentiles((1,))
    with pytest.raises(OptionError, match=r"quantiles \(1, 101\) are not all percentages"):
        source.percentiles((1, 101))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_source_reads_the_same_and_is_small(tmp_path: Path, kind: str) -> None:
    voxels = np.random.default_rng(0).integers(0, 256, (90, 70), np.uint8)
    source = open_source(write_as(kind, tmp_path, voxels))
    source.read(Box((0, 0), (9, 9)))
    pickled = pickle.dumps(source)
    np.testing.assert_array_equal(pickle.loads(pickled).read(Box((0, 0), (90, 70)))[0], voxels)
    assert len(pickled) < 3000


def corner_of(source: Source) -> int:
    return int(source.read(Box((0, 0), (1, 1))).item())


def test_another_process_opens_its_own(tmp_path: Path) -> None:
    voxels = np.full((9, 9), 7, np.uint8)
    sources = [open_source(write_as(kind, tmp_path, voxels)) for kind in KINDS]
    for source in sources:
        source.read(Box((0, 0), (9, 9)))
    code = """
import pickle, sys
for source, box in pickle.load(sys.stdin.buffer):
    print(source.read(box).item())
"""
    pickled = pickle.dumps([(source, Box((0, 0), (1, 1))) for source in sources])
    run = subprocess.run(
        [sys.executable, "-c", code], input=pickled, capture_output=True, timeout=60
    )
    assert run.stdout.split() == [b"7"] * len(KINDS), run.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_the_caller_may_change_what_was_read(tmp_path: Path, kind: str) -> None:
    voxels = np.random.default_rng(0).integers(0, 256, (9, 9), np.uint8)
    source = open_source(write_as(kind, tmp_path, voxels))
    for box in (Box((0, 0), (9, 9)), Box((-2, 0), (9, 9)), Box((2, 3), (5, 5))):
        source.read(box)[...] = 0
        np.testing.assert_array_equal(source.read(box)[0], padded(voxels, box))


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_image_is_decoded_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(write_as(kind, tmp_path, np.ones((90, 70), np.uint8)))
    times: list[Box] = []
    read = type(source._reader).read
    monkeypatch.setattr(
        type(source._reader), "read", lambda self, box: times.append(box) or read(self, box)
    )
    for k in range(5):
        source.read(Box((k, -k), (k + 9, 9)))
    assert times == [Box((0, 0), (90, 70))]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_opened_again_is_read_anew(tmp_path: Path, kind: str) -> None:
    for value in (3, 4):
        for old in tmp_path.glob("*/*.json"):
            old.unlink()
        if kind == "array":
            zarr.create_array(
                str(tmp_path / "array.zarr"), shape=(5, 5), dtype="uint8", overwrite=True
            )[...] = value
            path = tmp_path / "array.zarr"
        else:
            path = write_as(kind, tmp_path, np.full((5, 5), value, np.uint8))
        assert corner_of(open_source(path)) == value


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    asked=st.lists(st.integers(0, 5), max_size=30),
    limit=st.integers(1, 100),
)
def test_images_are_kept_by_last_use_within_the_limit(
    sizes: list[int], asked: list[int], limit: int
) -> None:
    kept = DecodedImages(limit)
    model: list[int] = []
    for number in asked:
        key = number % len(sizes)
        decoded: list[int] = []

        def decode(key: int = key, decoded: list[int] = decoded) -> np.ndarray:
            decoded.append(key)
            return np.full(sizes[key], key, np.uint8)

        assert (kept.get(str(key), decode) == np.full(sizes[key], key)).all()
        assert decoded == ([] if key in model else [key])
        model = [*(k for k in model if k != key), key]
        while sum(sizes[k] for k in model) > limit and len(model) > 1:
            model.pop(0)


def test_channels_are_chosen_by_name_or_index_and_all_are_read_by_default(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    Image.fromarray(voxels).save(tmp_path / "a.png")
    box = Box((0, 0), (9, 8))
    np.testing.assert_array_equal(
        open_source(tmp_path / "a.png").read(box), voxels.transpose(2, 0, 1)
    )
    chosen = open_source(tmp_path / "a.png", channels=["blue", 0])
    np.testing.assert_array_equal(chosen.read(box), voxels[..., [2, 0]].transpose(2, 0, 1))
    with pytest.raises(OptionError, match="has no channel 'dna'; its channels are 0 'red'"):
        open_source(tmp_path / "a.png", channels=["dna"])


@pytest.mark.parametrize(
    ("unit", "expected"), [("nanometer", (0.5, 0.5)), ("micrometer", (500.0, 500.0)), ("", None)]
)
def test_voxels_have_their_size_in_micrometres(
    tmp_path: Path, unit: str, expected: tuple[float, ...] | None
) -> None:
    voxels = np.ones((16, 16), np.uint8)
    image = write_ome(tmp_path / "a.zarr", [voxels, voxels[::2, ::2]], unit)
    scale = open_source(image, level=1).scale_um
    assert scale == (None if expected is None else pytest.approx(expected))


def test_time_has_no_size(tmp_path: Path) -> None:
    film = write_ome(tmp_path / "a.zarr", [np.ones((3, 8, 8), np.uint8)], names="tyx")
    source = open_source(film)
    assert source.axes == ("t", "y", "x")
    assert source.scale_um == pytest.approx((0.25, 0.25))


def test_a_label_image_inside_an_image_is_a_source(tmp_path: Path) -> None:
    image = write_ome(tmp_path / "a.zarr", [np.ones((8, 8), np.uint8)])
    write_ome(image / "labels" / "nuclei", [np.full((8, 8), 9, np.uint32)])
    source = open_source(image / "labels" / "nuclei")
    assert (source.dtype, corner_of(source)) == (np.dtype("uint32"), 9)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.png", r"there is no file .*a\.png on this machine"),
        ("a.zarr", r"a\.zarr"),
        ("notes.txt", r"notes\.txt is no image; give OME-Zarr, a zarr array, TIFF or PNG"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ImageError, match=message):
        open_source(tmp_path / name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_box_of_other_axes_is_refused(tmp_path: Path, kind: str) -> None:
    source = open_source(write_as(kind, tmp_path, np.ones((5, 5), np.uint8)))
    with pytest.raises(GeometryError, match="has 3 axes"):
        source.read(Box((0, 0, 0), (1, 1, 1)))
