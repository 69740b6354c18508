"""Laws of conversions: the same voxels, names and sizes; the same bytes after an interruption."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stored import contents

from bigunet import ClusterSpec, convert, info, segment, segment_images
from bigunet.conversion import convert_plan
from bigunet.errors import ImageError, OptionError, OutputError, ResumeError, StoppedError
from bigunet.events import BlockDone
from bigunet.geometry import Box
from bigunet.io.files.opening import open_image, open_level
from bigunet.io.images.units import scale_um
from bigunet.io.output.pyramid import downsample_mean, downsample_mode

THREADS = ClusterSpec("threads")


def write(path: Path, voxels: np.ndarray, axes: str, **more: Any) -> None:
    metadata = {"axes": axes.upper(), "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    metadata |= more.pop("metadata", {})
    tifffile.imwrite(path, voxels, ome=True, photometric="minisblack", metadata=metadata, **more)


@settings(max_examples=8, deadline=None)
@given(
    axes=st.permutations("tcz").flatmap(lambda p: st.sampled_from([p[:n] for n in range(4)])),
    sizes=st.tuples(*[st.integers(2, 4)] * 3, *[st.integers(2, 150)] * 2),
    dtype=st.sampled_from(("uint8", "uint16", "float32")),
    version=st.sampled_from(("0.4", "0.5", "0.6")),
    is_label=st.booleans(),
)
def test_level_0_has_the_voxels_of_the_image_and_others_are_halved_from_it(
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
    axes: list[str],
    sizes: tuple[int, ...],
    dtype: str,
    version: Any,
    is_label: bool,
) -> None:
    folder = tmp_path_factory.mktemp("convert")
    names = "".join([*axes, "yx"])
    shape = (*sizes[: len(axes)], *sizes[3:])
    voxels = np.random.default_rng(0).integers(0, 9, shape).astype(dtype)
    write(folder / "a.ome.tif", voxels, names, tile=(64, 64))
    is_label = is_label and dtype != "float32"
    with pytest.MonkeyPatch.context() as small:
        # Many blocks, and levels below those that one task writes.
        small.setattr(convert_plan, "_BLOCK_BYTES", 8192)
        small.setattr(convert_plan, "_SMALLEST_LEVEL", 16)
        convert(
            folder / "a.ome.tif", folder / "a.zarr",
            ome_version=version, labels=is_label, client=client,
        )  # fmt: skip
    image = open_image(folder / "a.zarr")
    order = [names.index(a) for a in "tczyx" if a in names]
    level = voxels.transpose(order)
    assert "".join(axis.name for axis in image.axes) == "".join(a for a in "tczyx" if a in names)
    halve = downsample_mode if is_label else downsample_mean
    for number, described in enumerate(image.levels):
        if number:
            steps = [-(-a // b) for a, b in zip(level.shape, described.shape)]
            level = halve(level, [min(2, step) for step in steps])
        stored = zarr.open_array(str(folder / "a.zarr"), path=str(number))[:]
        np.testing.assert_array_equal(stored, level)
        assert stored.dtype == dtype
    assert max(image.levels[-1].shape[-2:]) <= 16
    assert image.volume_scale()[-2:] == (0.5, 0.5)


def test_names_sizes_and_units_are_kept(client: Client, tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(100, 900, (3, 2, 4, 40, 30)).astype(np.uint16)
    metadata = {
        "PhysicalSizeZ": 2.0,
        "TimeIncrement": 5.0,
        "Channel": {"Name": ["DAPI", "actin"]},
    }
    write(tmp_path / "a.ome.tif", voxels, "tczyx", metadata=metadata)
    report = convert(tmp_path / "a.ome.tif", tmp_path / "a.zarr", client=client)
    image = open_image(tmp_path / "a.zarr")
    assert image.channel_names == ("DAPI", "actin") == report.channels
    assert scale_um(image, 0) == (2.0, 0.5, 0.5) == report.voxel_size_um
    assert (image.unit("t"), image.volume_scale()[0]) == ("second", 5.0)
    channels = zarr.open_group(str(tmp_path / "a.zarr")).attrs["ome"]["omero"]["channels"]
    for k, channel in enumerate(channels):
        window = (channel["window"]["start"], channel["window"]["end"])
        assert voxels[:, k].min() <= window[0] < window[1] <= voxels[:, k].max()
    described = info(tmp_path / "a.zarr")
    assert (described["kind"], described["channels"]) == ("image", ["DAPI", "actin"])


def test_colours_stay_colours(client: Client, tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(9, 99, (60, 50, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colours)
    convert(tmp_path / "a.tif", tmp_path / "a.zarr", client=client)
    image = open_image(tmp_path / "a.zarr")
    assert image.is_rgb
    read = open_level(image, channels=(0, 1, 2)).read(Box((0, 0), (60, 50)))
    np.testing.assert_array_equal(read, colours.transpose(2, 0, 1))


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(convert_plan, "_BLOCK_BYTES", 4096)
    monkeypatch.setattr(convert_plan, "_SMALLEST_LEVEL", 64)
    voxels = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)
    write(tmp_path / "a.ome.tif", voxels, "yx", compression="zlib")
    return tmp_path / "a.ome.tif"


@pytest.mark.parametrize("after", [1, 7, 40])
def test_a_stopped_conversion_goes_on_to_the_same_bytes(
    client: Client, large: Path, after: int
) -> None:
    whole, stopped = (large.parent / folder / "a.zarr" for folder in ("whole", "stopped"))
    convert(large, whole, client=client)
    stop, count = threading.Event(), itertools.count(1)

    def end_soon(event: object) -> None:
        if isinstance(event, BlockDone) and next(count) >= after:
            stop.set()

    with pytest.raises(StoppedError):
        convert(large, stopped, client=client, stop=stop, on_event=end_soon)
    assert info(stopped)["kind"] == "unfinished output"
    report = convert(large, stopped, client=client, existing="resume")
    assert contents(stopped) == contents(whole)
    assert not report.already_finished
    assert convert(large, stopped, client=client, existing="resume").already_finished


def test_a_conversion_that_was_killed_at_its_first_step_begins(
    client: Client, large: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.zarr" / "bigunet").mkdir(parents=True)
    (tmp_path / "a.zarr" / "bigunet" / "ledger.jsonl").write_bytes(b"")
    convert(large, tmp_path / "a.zarr", client=client, existing="resume")
    assert info(tmp_path / "a.zarr")["kind"] == "image"


def test_a_lost_file_is_written_again(client: Client, large: Path) -> None:
    target = large.with_name("a.zarr")
    convert(large, target, client=client)
    before = contents(target)
    lost = sorted((target / "0" / "c").rglob("*"))[-1]
    lost.unlink()
    report = convert(large, target, client=client, existing="resume")
    assert (report.blocks_done, report.already_finished) == (1, False)
    assert contents(target) == before


def test_what_differs_is_not_resumed(client: Client, large: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    convert(large, target, client=client)
    with pytest.raises(OutputError, match="exists: give --resume"):
        convert(large, target, client=client)
    with pytest.raises(ResumeError, match="option labels"):
        convert(large, target, client=client, existing="resume", labels=True)
    content = bytearray(large.read_bytes())
    with tifffile.TiffFile(large) as tiff:
        content[tiff.pages[0].dataoffsets[0] + 9] ^= 1
    large.write_bytes(content)
    with pytest.raises(ResumeError, match="changed since it was begun"):
        convert(large, target, client=client, existing="resume")


@pytest.mark.slow
def test_a_segmentation_and_a_conversion_do_not_remove_each_other(
    client: Client, large: Path, tmp_path: Path, tiny_model: Path
) -> None:
    converted, segmented = tmp_path / "a.zarr", tmp_path / "b.zarr"
    convert(large, converted, client=client)
    segment(large, segmented, client=client, model=tiny_model)
    before = contents(converted)
    for existing in ("resume", "overwrite"):
        with pytest.raises(OutputError, match="is an image that convert wrote: it will not be"):
            segment(large, converted, client=client, model=tiny_model, existing=existing)
        with pytest.raises(OutputError, match="is a segmentation: it will not be touched"):
            convert(large, segmented, client=client, existing=existing)
    assert contents(converted) == before
    segment(converted, client=client, model=tiny_model)
    with pytest.raises(OutputError, match="labels would be lost"):
        convert(large, converted, client=client, existing="overwrite")
    assert (converted / "labels" / "classes" / "0").is_dir()


def test_what_cannot_be_converted_is_refused_in_a_line(tmp_path: Path, large: Path) -> None:
    tifffile.imwrite(tmp_path / "f.tif", np.zeros((9, 9), np.float32))
    with pytest.raises(OptionError, match="has float32 voxels, which number nothing"):
        convert(tmp_path / "f.tif", tmp_path / "f.zarr", labels=True, client=THREADS)
    with pytest.raises(ImageError, match="does not exist"):
        convert(tmp_path / "nothing.zarr", tmp_path / "f.zarr", client=THREADS)
    with pytest.raises(OptionError, match="give a local path"):
        convert(large, "s3://bucket/a.zarr", client=THREADS)


def test_converted_images_and_files_of_a_folder_are_segmented_alike(
    client: Client, tmp_path: Path, large: Path, tiny_model: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    large.rename(given / "a.ome.tif")
    results = list(segment_images(given, tmp_path / "of_files", client=client, model=tiny_model))
    assert [name for name, _ in results] == [str(given / "a.ome.tif")]
    convert(given / "a.ome.tif", tmp_path / "zarrs" / "a.zarr", client=client)
    list(segment_images(tmp_path / "zarrs", tmp_path / "of_zarrs", client=client, model=tiny_model))
    first, second = (
        zarr.open_array(str(tmp_path / folder / "a.zarr"), path="labels/classes/0")[:]
        for folder in ("of_files", "of_zarrs")
    )
    np.testing.assert_array_equal(first, second)


def test_an_image_that_changes_meanwhile_does_not_become_an_output(
    client: Client, large: Path, tmp_path: Path
) -> None:
    content = bytearray(large.read_bytes())
    with tifffile.TiffFile(large) as tiff:
        content[tiff.pages[0].dataoffsets[-1] + 9] ^= 1

    def change(event: object) -> None:
        if isinstance(event, BlockDone) and event.stage == "downsample1":
            large.write_bytes(content)

    with pytest.raises(ResumeError, match="changed since it was begun"):
        convert(large, tmp_path / "a.zarr", client=client, on_event=change)
    assert info(tmp_path / "a.zarr")["kind"] == "unfinished output"
