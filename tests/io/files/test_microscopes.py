"""Laws of the files of microscopes: voxels, sizes, names and axes are read as they were written."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.lif_files import write_lif
from support.nd2_stand_in import module_of

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.files.file_format import FileFormat
from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import OpenFile
from bigunet.io.files.opening import open_image, open_level
from bigunet.io.files.rasters import FORMATS
from bigunet.io.files.slides import OpenSlideFile, describe_slide
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.images.units import scale_um

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 60_000, (2, 3, 2, 40, 50)).astype(np.uint16)  # t, z, c, y, x
COLOURS = RNG.integers(0, 256, (60, 70, 3), np.uint8)
SIZES = {"x": 5e-7, "y": 5e-7, "z": 2e-6, "t": 2.5}


def write_czi(path: Path) -> None:
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(path)) as document:
        for t, z, c in np.ndindex(*STACK.shape[:3]):
            # In two pieces that touch, as mosaics are.
            for start, stop in ((0, 20), (20, 50)):
                piece = np.ascontiguousarray(STACK[t, z, c, :, start:stop, None])
                place = {"T": t, "Z": z, "C": c}
                document.write(data=piece, plane=place, location=(start + 7, -5))
        document.write_metadata(
            document_name="a", channel_names={0: "DAPI", 1: "GFP"},
            scale_x=SIZES["x"], scale_y=SIZES["y"], scale_z=SIZES["z"],
        )  # fmt: skip


def write_stack(path: Path) -> None:
    pytest.importorskip("liffile")
    write_lif(path, {"one": ("tzcyx", STACK)}, steps=SIZES, channels=("DAPI", "GFP"))


def write_nd2(path: Path) -> None:
    sys.modules["nd2"] = module_of("TZCYX", STACK, channels=("DAPI", "GFP"))
    path.write_bytes(b"\xda\xce\xbe\x0a")


WRITERS = {"a.czi": write_czi, "a.lif": write_stack, "a.nd2": write_nd2}


@pytest.fixture(autouse=True)
def _own_nd2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nd2", sys.modules.get("nd2"))


@pytest.fixture(params=WRITERS)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> FileImage:
    path = tmp_path / request.param
    WRITERS[request.param](path)
    image = open_image(path)
    assert isinstance(image, FileImage)
    return image


def test_a_stack_has_the_sizes_and_names_that_its_file_states(stack: FileImage) -> None:
    assert stack.volume_axes == ("t", "z", "y", "x")
    assert stack.volume_shape() == (2, 3, 40, 50)
    assert scale_um(stack, 0) == pytest.approx((2.0, 0.5, 0.5))
    assert stack.channel_names == ("DAPI", "GFP")
    if not stack.url.endswith(".czi"):
        assert stack.unit("t") == "second"
        assert stack.volume_scale()[0] == pytest.approx(2.5)


def test_a_box_of_a_stack_is_cut_from_the_whole(stack: FileImage) -> None:
    whole = STACK.transpose(2, 0, 1, 3, 4)

    @settings(max_examples=25, deadline=None)
    @given(
        starts=st.tuples(*[st.integers(0, n - 1) for n in (2, 3, 40, 50)]),
        extents=st.tuples(*[st.integers(1, 30)] * 4),
        channels=st.sampled_from([(0,), (1,), (1, 0), (0, 1)]),
    )
    def law(starts: tuple[int, ...], extents: tuple[int, ...], channels: tuple[int, ...]) -> None:
        stops = tuple(min(a + n, m) for a, n, m in zip(starts, extents, (2, 3, 40, 50)))
        read = open_level(stack, channels=channels).read(Box(starts, stops))
        part = tuple(slice(a, b) for a, b in zip(starts, stops))
        np.testing.assert_array_equal(read, whole[(list(channels), *part)])

    law()


def test_a_reader_travels_to_another_process(stack: FileImage) -> None:
    reader: ArrayReader = pickle.loads(pickle.dumps(open_level(stack)))
    box = Box.of_shape(reader.shape)
    np.testing.assert_array_equal(reader.read(box), STACK[:, :, 0][None])


def test_a_colour_czi_is_read_in_the_order_red_green_blue(tmp_path: Path) -> None:
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(tmp_path / "a.czi")) as document:
        # The file stores blue first.
        document.write(data=np.ascontiguousarray(COLOURS[..., ::-1]), plane={"C": 0})
        document.write_metadata(document_name="a")
    image = open_image(tmp_path / "a.czi")
    assert image.is_rgb
    assert image.channel_names == ("red", "green", "blue")
    read = open_level(image, channels=(0, 1, 2)).read(Box((5, 6), (50, 60)))
    np.testing.assert_array_equal(read, COLOURS[5:50, 6:60].transpose(2, 0, 1))


def test_of_several_scenes_or_images_one_is_named(tmp_path: Path) -> None:
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(tmp_path / "a.czi")) as document:
        for k, (x, y) in enumerate(((0, 0), (500, 300))):
            piece = np.ascontiguousarray(STACK[0, k, 0, : 40 - k, :, None])
            document.write(data=piece, plane={"C": 0}, scene=k, location=(x, y))
        document.write_metadata(document_name="a")
    pytest.importorskip("liffile")
    images = {"one": ("yx", STACK[0, 0, 0]), "two": ("yx", STACK[0, 1, 0, :39])}
    write_lif(tmp_path / "a.lif", images, steps=SIZES)
    for name in ("a.czi", "a.lif"):
        path = tmp_path / name
        with pytest.raises(ImageError, match=rf"2 images; give one of them, .*{name}#0"):
            open_image(path)
        for k in range(2):
            image = open_image(f"{path}#{k}")
            read = open_level(image).read(Box.of_shape(image.volume_shape()))[0]
            np.testing.assert_array_equal(read, STACK[0, k, 0, : 40 - k])


def test_positions_of_an_nd2_are_images(tmp_path: Path) -> None:
    positions = STACK.transpose(1, 0, 2, 3, 4)  # P, T, C, Y, X
    sys.modules["nd2"] = module_of("PTCYX", positions, channels=("DAPI", "GFP"))
    path = tmp_path / "a.nd2"
    path.write_bytes(b"\xda\xce\xbe\x0a")
    with pytest.raises(ImageError, match=r"3 images; .*#0 position 0, #1 position 1"):
        open_image(path)
    for k in range(3):
        image = open_image(f"{path}#{k}")
        read = open_level(image, channels=(0, 1)).read(Box.of_shape(image.volume_shape()))
        np.testing.assert_array_equal(read, positions[k].transpose(1, 0, 2, 3))


def test_a_slide_is_read_at_each_level_as_openslide_reads_it(tmp_path: Path) -> None:
    openslide = pytest.importorskip("openslide")
    path, colours = tmp_path / "a.tif", RNG.integers(0, 256, (256, 320, 3), np.uint8)
    with tifffile.TiffWriter(path) as made:
        for k in range(2):
            made.write(
                colours[:: 2**k, :: 2**k], tile=(64, 64), photometric="rgb",
                subfiletype=k, metadata=None,
            )  # fmt: skip
    series = FileSeries(str(path))
    image = describe_slide(series)
    assert [level.shape for level in image.levels] == [(256, 320, 3), (128, 160, 3)]
    file = OpenSlideFile(series, (str(path), 0, 0))
    with openslide.OpenSlide(path) as slide:
        for k, level in enumerate(image.levels):
            selection = (slice(10, 90), slice(20, 100), slice(None))
            read = file.read(level, selection)
            own = slide.read_region((20 * 2**k, 10 * 2**k), k, (80, 80)).convert("RGB")
            np.testing.assert_array_equal(read, np.asarray(own))
            np.testing.assert_array_equal(read, colours[:: 2**k, :: 2**k][10:90, 20:100])
    file.close()


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("a.czi", "pylibCZIrw.czi", "czi"),
        ("a.lif", "liffile", "lif"),
        ("a.nd2", "nd2", "nd2"),
        ("a.mrxs", "openslide", "slides"),
    ],
)
def test_without_its_package_a_file_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"some bytes")
    with pytest.raises(ImageError, match=rf"{name} is a .*; .*pip install -e '\.\[{extra}\]'"):
        open_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.czi", "a.lif", "a.mrxs"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    for package in ("pylibCZIrw", "liffile", "openslide"):
        pytest.importorskip(package)
    (tmp_path / name).write_bytes(b"some bytes")
    with pytest.raises(ImageError, match=f"cannot read .*{name}: "):
        open_image(tmp_path / name)


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.suffixes[0])
def test_a_format_has_its_parts_and_suffixes_in_lower_case(known: FileFormat) -> None:
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in known.suffixes)
    assert issubclass(known.opener, OpenFile)
    assert callable(known.describe)
