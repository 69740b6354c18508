"""Laws of TIFF files that are segmented: unclear axes are asked for, strips are decoded once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from tifffile.zarr import ZarrTiffStore

from bigunet.errors import ImageError
from bigunet.geometry import Box
from bigunet.io.files.file_image import FileImage, FileSeries
from bigunet.io.files.open_files import DecodedParts, OpenFile, OpenFiles
from bigunet.io.files.opening import fingerprint_of, open_image, open_level
from bigunet.io.images.array_reader import Selection
from bigunet.io.images.multiscale import Level
from bigunet.io.images.units import scale_um

PLANES = np.random.default_rng(0).integers(0, 256, (5, 40, 30), np.uint8)


def names_of(path: Path, axes: str = "") -> str:
    return "".join(axis.name for axis in open_image(path, axes=axes).axes)


def test_pages_without_a_word_are_read_as_z_and_a_note_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES, metadata=None)
    image = open_image(path)
    assert [axis.name for axis in image.axes] == ["z", "y", "x"]
    assert image.notes == (
        f"{path}: 5 pages are read as z; give --axes tyx if they are time points",
    )
    assert names_of(path, "tyx") == "tyx"
    assert open_image(path, axes="tyx").notes == ()


@pytest.mark.parametrize(
    ("metadata", "imagej", "expected"),
    [
        ({"axes": "TYX"}, True, "tyx"),
        ({"axes": "ZYX"}, True, "zyx"),
        ({"axes": "CYX"}, False, "cyx"),
    ],
)
def test_axes_that_a_program_wrote_are_taken_without_a_note(
    tmp_path: Path, metadata: dict, imagej: bool, expected: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES, imagej=imagej, metadata=metadata)
    assert names_of(path) == expected
    assert open_image(path).notes == ()
    with pytest.raises(ImageError, match=f"states the axes {expected}, but --axes"):
        open_image(path, axes="zyx" if expected != "zyx" else "tyx")


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((3, 40, 30), "3 pages are: give --axes cyx if channels, --axes zyx if planes of a stack"),
        ((3, 2, 40, 30), "first axes are: say so with --axes, such as --axes czyx"),
    ],
)
def test_pages_that_may_be_channels_are_asked_for(
    tmp_path: Path, shape: tuple[int, ...], says: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric="minisblack")
    with pytest.raises(ImageError, match=says):
        open_image(path)
    with pytest.raises(ImageError, match=r"names 2 axes, but .* has"):
        open_image(path, axes="yx")
    # Labels and truth must have the axes of their image, which show whether this is right.
    assert open_image(path, usual_axes=True).axes


def test_a_series_of_a_slide_is_the_slide_and_the_others_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    colours = np.repeat(PLANES[0][..., None], 3, axis=2)
    about = "Aperio Image Library v11\n30x40 (16x16)|AppMag = 20|MPP = 0.25"
    with tifffile.TiffWriter(path) as made:
        made.write(colours, tile=(16, 16), description=about, metadata=None)
        made.write(colours[::4, ::4], description=about, metadata=None)
        made.write(colours[:9], description="Aperio\nlabel 30x9", subfiletype=1, metadata=None)
        made.write(colours[:8], description="Aperio\nmacro 30x8", subfiletype=9, metadata=None)
    image = open_image(path)
    assert isinstance(image, FileImage)
    assert image.volume_shape() == (40, 30)
    assert scale_um(image, 0) == (0.25, 0.25)
    assert {"Label", "Macro"} <= set(image.others)
    np.testing.assert_array_equal(
        open_level(image, channels=(2,)).read(Box((0, 0), (40, 30)))[0], PLANES[0]
    )


def test_a_plane_of_one_compressed_strip_is_decoded_once_for_all_boxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES, compression="zlib", metadata=None, rowsperstrip=40)
    decoded: list[str] = []
    decode = ZarrTiffStore.get

    async def counted(self: ZarrTiffStore, key: str, *more: object) -> object:
        # Its keys are those of zarr 2, and from 2026.6 on those of zarr 3.
        chunk = key.removeprefix("c/").replace("/", ".")
        decoded.extend([chunk] if chunk[0].isdigit() else [])
        return await decode(self, key, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(ZarrTiffStore, "get", counted)
    reader = open_level(open_image(path))
    boxes = [Box((0, y, x), (5, y + 8, x + 10)) for y in range(0, 40, 8) for x in range(0, 30, 10)]
    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(reader.read, boxes))
    for box, part in zip(boxes, parts):
        np.testing.assert_array_equal(part[0], PLANES[box.within(Box.of_shape(PLANES.shape))])
    assert sorted(decoded) == [f"{k}.0.0" for k in range(5)]


def test_a_file_that_ends_before_its_voxels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as made:
        for plane in PLANES:
            made.write(plane, tile=(16, 16), compression="zlib", metadata=None, contiguous=False)
    image = open_image(path)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        last = tiff.pages[-1].dataoffsets[-1]
    # The lists of pages are behind the voxels of the first pages; those of the last are at the end.
    path.write_bytes(content[: last + 3])
    with pytest.raises(ImageError, match=r"a\.tif"):
        open_level(image).read(Box.of_shape(image.volume_shape()))


@pytest.mark.parametrize(
    "storage",
    [
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"},
        {"metadata": None, "compression": "zlib", "rowsperstrip": 40},
        {"metadata": None, "compression": "zlib", "tile": (16, 16), "bigtiff": True},
        {"metadata": None},
    ],
)
def test_no_plane_is_dropped_in_silence_wherever_a_file_is_cut(
    tmp_path: Path, storage: dict
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES, **storage)
    content, named, refused = path.read_bytes(), 0, 0
    for stop in range(20, len(content), len(content) // 60):
        path.write_bytes(content[:stop])
        try:
            image = open_image(path)
            read = open_level(image).read(Box.of_shape(image.volume_shape()))
        except ImageError as error:
            named += "a.tif" in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(read[0], PLANES)
    assert named == refused > 0


def test_planes_that_are_listed_and_missing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PLANES, ome=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as tiff:
        listed = (tiff.ome_metadata or "").replace('SizeZ="5"', 'SizeZ="7"')
    tifffile.tiffcomment(path, listed)
    with pytest.raises(ImageError, match=r"a\.ome\.tif lists 7 planes, of which 2 are missing"):
        open_image(path)


def test_another_file_has_another_fingerprint_and_a_copy_the_same(tmp_path: Path) -> None:
    first, copy, other = (tmp_path / folder / "a.tif" for folder in "abc")
    for path in (first, copy, other):
        path.parent.mkdir()
        tifffile.imwrite(path, PLANES, metadata=None)
    with tifffile.TiffFile(other) as tiff:
        place = tiff.pages[2].dataoffsets[0] + 7
    content = bytearray(other.read_bytes())
    content[place] ^= 1
    other.write_bytes(content)
    before = fingerprint_of(open_image(first)).to_dict()
    assert fingerprint_of(open_image(copy)).difference(before) == ""
    assert "a.tif changed" in fingerprint_of(open_image(other)).difference(before)
    as_time = fingerprint_of(open_image(copy, axes="tyx"))
    assert "the metadata of" in as_time.difference(before)


class _File(OpenFile):
    def __init__(self, closed: list[str], url: str) -> None:
        self.closed, self.url = closed, url
        self.may_end = threading.Event()
        self.begun = threading.Event()

    def read(self, level: Level, selection: Selection) -> np.ndarray:
        self.begun.set()
        assert self.may_end.wait(10)
        assert self.url not in self.closed
        return np.zeros(1)

    def close(self) -> None:
        self.closed.append(self.url)


def test_a_file_is_not_closed_while_a_thread_reads_from_it(tmp_path: Path) -> None:
    closed: list[str] = []
    files: dict[str, _File] = {}
    for name in "ab":
        (tmp_path / name).write_bytes(b"")
        files[name] = _File(closed, name)
    level = Level("", (1,), (1,), None, "uint8", (1.0,), (0.0,))
    opened = OpenFiles(limit=1)
    read: Callable[[str], np.ndarray] = lambda name: opened.read(  # noqa: E731
        FileSeries(str(tmp_path / name)), lambda *_: files[name], level, ()
    )
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(read, "a")
        assert files["a"].begun.wait(10)
        files["b"].may_end.set()
        threads.submit(read, "b").result(10)
        assert closed == []
        files["a"].may_end.set()
        first.result(10)
    assert closed == ["a"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 40))
def test_decoded_parts_are_right_and_bounded(keys: list[int], max_bytes: int) -> None:
    parts = DecodedParts(max_bytes)
    for key in keys:
        np.testing.assert_array_equal(parts.get(key, partial(np.full, 8, key, np.uint8)), key)
        kept = sum(part.nbytes for part in parts._parts.values())
        assert kept <= max(8, max_bytes)


_READ = """
import resource, sys
from bigunet.geometry import Box
from bigunet.io.files.opening import open_image, open_level
reader = open_level(open_image(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows, columns = reader.shape
for y in range(0, rows, 1024):
    for x in range(0, columns, 1024):
        assert not reader.read(Box((y, x), (min(y + 1024, rows), min(x + 1024, columns)))).any()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("tile", [(256, 256), None])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, tile: tuple[int, int] | None) -> None:
    path = tmp_path / "large.tif"
    side = 30_000  # 900 MB, and 256 MB of decoded strips or tiles are kept
    zeros = np.broadcast_to(np.uint8(0), (side, side))
    strips = {} if tile else {"rowsperstrip": 256}
    tifffile.imwrite(path, zeros, tile=tile, compression="zlib", metadata=None, **strips)
    command = [sys.executable, "-c", _READ, str(path)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 450 * 1024
