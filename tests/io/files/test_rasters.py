"""Laws of image files: voxels, axes, channels and voxel sizes are read as they were written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bigunet.errors import GeometryError, ImageError, OptionError
from bigunet.geometry import Box
from bigunet.io.files.open_files import MAX_OPEN, open_files
from bigunet.io.files.rasters import RasterReader, describe_raster
from bigunet.io.files.tiff_axes import name_axes
from bigunet.io.images.units import scale_um, to_um

NOISE = np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8)
COLOURED = np.random.default_rng(1).integers(0, 256, (40, 30, 4), np.uint8)


def read_all(path: Path, **choice: object) -> np.ndarray:
    image = describe_raster(str(path))
    reader = RasterReader(image, **{"channels": range(image.num_channels), **choice})
    return reader.read(Box.of_shape(reader.shape))


def mirrored(volume: np.ndarray, box: Box) -> np.ndarray:
    """The box, cut from the whole volume that numpy mirrors: (channel, *box.shape)."""
    before = [max(0, -start) for start in box.start]
    after = [max(0, stop - size) for stop, size in zip(box.stop, volume.shape[1:])]
    padded = np.pad(volume, [(0, 0), *zip(before, after)], mode="reflect")
    parts = (slice(a + n, b + n) for a, b, n in zip(box.start, box.stop, before))
    return padded[(slice(None), *parts)]


STORAGES = (
    {},
    {"byteorder": ">"},
    {"compression": "zlib", "rowsperstrip": 3},
    {"compression": "zlib", "tile": (16, 16)},
    {"compression": "zlib", "predictor": 2},
)


@settings(max_examples=40, deadline=None)
@given(
    axes=st.permutations("tcz").flatmap(lambda p: st.sampled_from([p[:n] for n in range(4)])),
    # tifffile writes pages of one pixel in a way that it cannot read by chunks.
    sizes=st.tuples(*[st.integers(2, 5)] * 3, st.integers(1, 40), st.integers(2, 40)),
    storage=st.sampled_from(STORAGES),
    dtype=st.sampled_from(("uint8", "int16", "uint16")),
    corner=st.tuples(*[st.integers(-12, 12)] * 4),
    extent=st.tuples(*[st.integers(0, 9)] * 4),
)
def test_a_box_of_a_tiff_is_cut_from_the_mirrored_whole(
    tmp_path_factory: pytest.TempPathFactory,
    axes: list[str],
    sizes: tuple[int, ...],
    storage: dict,
    dtype: str,
    corner: tuple[int, ...],
    extent: tuple[int, ...],
) -> None:
    names = "".join([*axes, "y", "x"])
    shape = (*sizes[: len(axes)], *sizes[3:])
    voxels = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    metadata = {"axes": names.upper()}
    tifffile.imwrite(path, voxels, photometric="minisblack", metadata=metadata, **storage)
    image = describe_raster(str(path))
    assert image.volume_axes == tuple(a for a in "tzyx" if a in names)
    order = [names.index(a) for a in "ctzyx" if a in names]
    whole = voxels.transpose(order) if "c" in names else voxels.transpose(order)[np.newaxis]
    start = corner[: len(image.volume_axes)]
    box = Box(start, tuple(a + n for a, n in zip(start, extent)))
    chosen = tuple(reversed(range(image.num_channels)))
    read = RasterReader(image, channels=chosen).read(box)
    np.testing.assert_array_equal(read, mirrored(whole[list(chosen)], box))
    assert read.dtype == np.dtype(dtype)
    assert read.flags.c_contiguous


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ("YX", "yx"),
        ("IYX", "zyx"),  # pages without a description are a stack
        ("QQYX", "czyx"),  # as in a bare zarr array
        ("QQQYX", "tczyx"),
        ("QYXS", "zyxc"),
        ("SYX", "cyx"),
        ("QZYX", "czyx"),
        ("QTYX", "ztyx"),
    ],
)
def test_axes_without_a_meaning_are_taken_as_in_bare_arrays(stored: str, named: str) -> None:
    assert name_axes(stored, "a.tif") == named


@pytest.mark.parametrize("stored", ["CYXS", "QQQQYX", "RHZTYX"])
def test_axes_that_are_unclear_are_refused(stored: str) -> None:
    with pytest.raises(ImageError, match=f"a.tif has .*{stored}"):
        name_axes(stored, "a.tif")


@pytest.mark.parametrize(
    ("mode", "suffix", "expected"),
    [
        ("L", "png", NOISE[None]),
        ("L", "tif", NOISE[None]),
        ("1", "png", NOISE[None] > 99),
        ("P", "png", NOISE[None]),  # indices, not the colours that they stand for
        ("P", "tif", NOISE[None]),
        ("I;16", "png", NOISE[None].astype(np.uint16)),
        ("I;16B", "tif", NOISE[None].astype(np.uint16)),
        ("F", "tif", NOISE[None].astype(np.float32)),
        ("RGB", "png", COLOURED.transpose(2, 0, 1)[:3]),
        ("RGBA", "png", COLOURED.transpose(2, 0, 1)[:3]),  # opacity is no channel
        ("RGBA", "tif", COLOURED.transpose(2, 0, 1)[:3]),
        ("LA", "png", COLOURED.transpose(2, 0, 1)[:1]),
        ("PA", "tif", COLOURED.transpose(2, 0, 1)[:1]),
    ],
)
def test_a_picture_is_read_as_it_is_stored(
    tmp_path: Path, mode: str, suffix: str, expected: np.ndarray
) -> None:
    picture_of(mode).save(tmp_path / f"a.{suffix}")
    read = read_all(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read, expected)
    assert read.dtype == expected.dtype


def picture_of(mode: str) -> Image.Image:
    if mode in ("L", "F"):
        return Image.fromarray(NOISE).convert(mode)
    if mode == "1":
        return Image.fromarray(NOISE > 99)
    if mode == "I;16":
        return Image.fromarray(NOISE.astype(np.uint16))
    if mode == "I;16B":
        return Image.frombytes("I;16B", (30, 40), NOISE.astype(">u2").tobytes())
    if mode == "P":
        return coloured_by_palette(NOISE)
    if mode == "PA":
        picture = Image.frombytes("PA", (30, 40), COLOURED[..., [0, 3]].tobytes())
        picture.putpalette(bytes(range(255, -1, -1)) * 3)
        return picture
    channels = {"RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3], "LA": [0, 3]}[mode]
    return Image.frombytes(mode, (30, 40), COLOURED[..., channels].tobytes())


def coloured_by_palette(indices: np.ndarray) -> Image.Image:
    picture = Image.fromarray(indices)
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    return picture


@pytest.mark.parametrize("codec", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "lzma", "zstd"])
@pytest.mark.parametrize(
    "voxels",
    [
        NOISE,
        NOISE.astype(np.uint16) * 200,
        NOISE.astype(np.float32) / 7,
        COLOURED[..., :3],
    ],
    ids=["uint8", "uint16", "float32", "colours"],
)
def test_a_stack_compressed_by_other_software_is_read(
    tmp_path: Path, voxels: np.ndarray, codec: str
) -> None:
    pages = [Image.fromarray(np.roll(voxels, k, axis=0)) for k in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression=codec)
    image = describe_raster(str(tmp_path / "a.tif"))
    assert image.volume_shape() == (3, 40, 30)
    colours = image.num_channels
    read = RasterReader(image, channels=range(colours)).read(Box((1, 5, 6), (3, 25, 16)))
    expected = np.stack([np.roll(voxels, k, axis=0)[5:25, 6:16] for k in (1, 2)])
    np.testing.assert_array_equal(read, expected.reshape(2, 20, 10, colours).transpose(3, 0, 1, 2))


def test_a_fax_is_read_as_its_bits_are_stored(tmp_path: Path) -> None:
    for name, compression in (("plain.tif", "raw"), ("fax.tif", "group4")):
        Image.fromarray(NOISE > 99).save(tmp_path / name, compression=compression)
    for name in ("plain.tif", "fax.tif"):
        np.testing.assert_array_equal(read_all(tmp_path / name)[0], NOISE > 99)


@pytest.mark.parametrize("number", [34926, 34933, 34676])  # Zstandard, PNG, none that is known
def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path, number: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, NOISE)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[0].tags["Compression"].valueoffset
        content[place : place + 2] = struct.pack(tiff.byteorder + "H", number)
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"cannot read .*a\.tif: "):
        read_all(path)


def test_each_level_of_a_pyramid_has_its_shape_and_scale(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(NOISE, subifds=1, metadata=metadata)
        tiff.write(NOISE[::2, ::2], subfiletype=1)
    image = describe_raster(str(path))
    assert [image.volume_shape(k) for k in range(2)] == [(40, 30), (20, 15)]
    assert [scale_um(image, k) for k in range(2)] == [(0.5, 0.5), (1.0, 1.0)]
    np.testing.assert_array_equal(read_all(path, level=1), NOISE[None, ::2, ::2])


Write = Callable[[Path], None]


def _write_ome(path: Path) -> None:
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 250.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.25,
    }
    voxels = np.stack([NOISE] * 3)
    tifffile.imwrite(path, voxels, ome=True, metadata={**metadata, "PhysicalSizeZ": 2.0})


def _write_imagej(path: Path) -> None:
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(path, np.stack([NOISE] * 3), imagej=True, resolution=(4, 4), metadata=metadata)


def _write_imagej_micro(path: Path) -> None:
    metadata = {"unit": "\\u00B5m"}
    tifffile.imwrite(path, NOISE, imagej=True, resolution=(4, 4), metadata=metadata)


def _write_imagej_pixels(path: Path) -> None:
    tifffile.imwrite(path, NOISE, imagej=True, resolution=(4, 4), metadata={"unit": "pixel"})


def _write_imagej_without_spacing(path: Path) -> None:
    metadata = {"axes": "ZYX", "unit": "um"}
    tifffile.imwrite(path, np.stack([NOISE] * 3), imagej=True, resolution=(4, 4), metadata=metadata)


def _write_aperio(path: Path) -> None:
    description = "Aperio Image Library v11\n40x30 (240x240)|AppMag = 20|MPP = 0.25|Left = 25.6"
    tifffile.imwrite(
        path, COLOURED[..., :3], photometric="rgb", description=description, metadata=None
    )


def _write_resolution(per_unit: float, unit: str) -> Write:
    def write(path: Path) -> None:
        tifffile.imwrite(path, NOISE, resolution=(per_unit, per_unit), resolutionunit=unit)

    return write


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (_write_ome, (2.0, 0.25, 0.25)),
        (_write_imagej, (2.0, 0.25, 0.25)),
        (_write_imagej_micro, (0.25, 0.25)),
        (_write_imagej_pixels, None),
        (_write_imagej_without_spacing, None),  # one axis unknown, none known
        (_write_aperio, (0.25, 0.25)),
        (_write_resolution(40000, "centimeter"), (0.25, 0.25)),
        (_write_resolution(118, "centimeter"), None),  # a printer's 300 dpi
        (_write_resolution(300, "inch"), None),
        (_write_resolution(1, "none"), None),
    ],
)
def test_a_voxel_has_the_size_that_the_file_states(
    tmp_path: Path, write: Write, expected: tuple[float, ...] | None
) -> None:
    write(tmp_path / "a.tif")
    size = scale_um(describe_raster(str(tmp_path / "a.tif")), 0)
    assert size == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("micrometer", 1.0),
        ("micrometre", 1.0),
        ("microns", 1.0),
        ("µm", 1.0),  # micro sign
        ("μm", 1.0),  # Greek letter
        ("\\u00B5m", 1.0),
        ("nanometer", 1e-3),
        ("Å", 1e-4),
        ("mm", 1e3),
        ("", None),
        (None, None),
        ("pixel", None),
        ("second", None),
    ],
)
def test_units_of_length_are_known_in_many_spellings(
    unit: str | None, expected: float | None
) -> None:
    assert to_um(unit) == expected


def test_channels_have_the_names_that_the_file_gives(tmp_path: Path) -> None:
    voxels = np.stack([NOISE] * 2)
    metadata = {"axes": "CYX", "Channel": {"Name": ["nuclei", "actin"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", voxels, metadata=metadata)
    tifffile.imwrite(tmp_path / "b.tif", COLOURED[..., :3])
    assert describe_raster(str(tmp_path / "a.ome.tif")).channel_names == ("nuclei", "actin")
    assert describe_raster(str(tmp_path / "b.tif")).channel_names == ("red", "green", "blue")


def test_of_several_images_in_a_file_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(NOISE, metadata={"PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0})
        tiff.write(NOISE[:20], metadata={"PhysicalSizeX": 2.0, "PhysicalSizeY": 2.0})
    said = r"2 images; .*a\.ome\.tif#0': #0 Image0 YX \(40, 30\), #1"
    with pytest.raises(ImageError, match=said):
        describe_raster(str(path))
    for number, voxels in enumerate((NOISE, NOISE[:20])):
        address = f"{path}#{number}"
        np.testing.assert_array_equal(read_all(Path(address)), voxels[None])
        assert scale_um(describe_raster(address), 0) == (number + 1.0, number + 1.0)
    with pytest.raises(ImageError, match=r"has no image #2; it has #0 Image0"):
        describe_raster(f"{path}#2")


def test_few_files_stay_open_and_all_are_read(tmp_path: Path) -> None:
    paths = [tmp_path / f"{k}.tif" for k in range(MAX_OPEN + 4)]
    for k, path in enumerate(paths):
        tifffile.imwrite(path, NOISE // (k + 1), compression="zlib")
    for _ in range(2):
        for k, path in enumerate(paths):
            np.testing.assert_array_equal(read_all(path)[0], NOISE // (k + 1))
    assert len(open_files) == MAX_OPEN


def test_a_file_written_anew_is_read_anew_or_refused(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png"):
        path = tmp_path / name
        Image.fromarray(NOISE).save(path)
        reader = RasterReader(describe_raster(str(path)))
        reader.read(Box((0, 0), (1, 1)))
        Image.fromarray(NOISE[::-1]).save(path)
        assert reader.read(Box((0, 0), (1, 1))).item() == NOISE[-1, 0]
        Image.fromarray(NOISE[:20]).save(path)
        with pytest.raises(ImageError, match="open it again"):
            reader.read(Box((0, 0), (1, 1)))


def _sixteen_bit_colour_png() -> bytes:
    def part(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(12) + b"\0" + bytes(12))
    start = b"\x89PNG\r\n\x1a\n"
    return start + part(b"IHDR", header) + part(b"IDAT", rows) + part(b"IEND", b"")


def test_colours_of_16_bits_are_refused_rather_than_halved(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_sixteen_bit_colour_png())
    with pytest.raises(ImageError, match=r"a\.png has 16 bits per colour, of which pillow reads 8"):
        describe_raster(str(tmp_path / "a.png"))


def test_a_large_picture_is_no_attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", NOISE.size - 1)
    np.testing.assert_array_equal(read_all(tmp_path / "a.png")[0], NOISE)


def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.roll(NOISE, k)) for k in range(2)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:])
    with pytest.raises(ImageError, match=r"a\.gif holds 2 pictures; save them as a TIFF stack"):
        describe_raster(str(tmp_path / "a.gif"))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_file_that_is_cut_off_or_no_image_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(ImageError, match=f"there is no file .*{name} on this machine"):
        describe_raster(str(path))
    Image.fromarray(NOISE).save(path)
    image = describe_raster(str(path))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match=name):
        RasterReader(image).read(Box.of_shape(image.volume_shape()))
    path.write_bytes(b"no image")
    with pytest.raises(ImageError, match=f"cannot read .*{name}"):
        describe_raster(str(path))


def test_complex_numbers_are_no_voxels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", NOISE.astype(np.complex64))
    with pytest.raises(ImageError, match=r"a\.tif has dtype complex64; voxels are"):
        describe_raster(str(tmp_path / "a.tif"))


def test_a_box_channel_or_level_that_the_image_lacks_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", NOISE)
    image = describe_raster(str(tmp_path / "a.tif"))
    with pytest.raises(GeometryError, match="has 3 axes; the image has y, x"):
        RasterReader(image).read(Box.of_shape((1, 1, 1)))
    with pytest.raises(OptionError, match=r"channels \(1,\) of .*: choose one or more of 0"):
        RasterReader(image, channels=(1,))
    with pytest.raises(OptionError, match="has no level 1"):
        RasterReader(image, level=1)
