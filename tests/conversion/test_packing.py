"""Laws of outputs in one file: what the folder holds, and the same bytes after an interruption."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Any

import ngff_zarr
import numpy as np
import pytest
import tifffile
import zarr
from distributed import Client
from support.classes_as_image import classes_model

from bigunet import convert, segment
from bigunet.conversion import convert_plan
from bigunet.errors import BusyError, OptionError, OutputError, StoppedError
from bigunet.events import BlockDone, Notice
from bigunet.geometry import Box
from bigunet.io.files.opening import open_image, open_level
from bigunet.io.images.lists import listed_names
from bigunet.io.output.archive import plan_packing

VOXELS = np.random.default_rng(0).integers(0, 3, (70, 90), np.uint8)
WHOLE = Box((0, 0), VOXELS.shape)


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image of many blocks."""
    monkeypatch.setattr(convert_plan, "_BLOCK_BYTES", 1024)
    monkeypatch.setattr(convert_plan, "_SMALLEST_LEVEL", 32)
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(tmp_path / "a.ome.tif", VOXELS, ome=True, metadata=metadata, tile=(16, 16))
    return tmp_path / "a.ome.tif"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, client: Client) -> Path:
    """An image of version 0.6 with labels, objects and their tables inside."""
    folder = tmp_path_factory.mktemp("labelled")
    tifffile.imwrite(folder / "a.tif", VOXELS)
    convert(folder / "a.tif", folder / "a.zarr", ome_version="0.6", client=client)
    segment(
        folder / "a.zarr", model=classes_model(2), client=client, backend="torch",
        outputs=("classes", "instances"), object_class="cell",
    )  # fmt: skip
    return folder / "a.zarr"


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_an_image_in_one_file_is_that_of_the_folder(
    client: Client, picture: Path, tmp_path: Path, version: Any
) -> None:
    convert(picture, tmp_path / "a.zarr", client=client, ome_version=version)
    report = convert(picture, tmp_path / "b" / "a.ozx", client=client, ome_version=version)
    packing = plan_packing(tmp_path / "a.zarr", is_left_out=lambda path: path.name == "bigunet")
    folder = {key: (tmp_path / "a.zarr" / key).read_bytes() for key in packing.keys}
    assert files_of(tmp_path / "b" / "a.ozx") == folder
    assert (report.packed_files, report.packed_bytes) == (len(folder), packing.num_bytes)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["a.ozx"]
    image = open_image(report.output)
    np.testing.assert_array_equal(open_level(image, channels=(0,)).read(WHOLE)[0], VOXELS)
    read = ngff_zarr.from_ome_zarr(report.output, validate=True)
    np.testing.assert_array_equal(read.images[0].data.compute(scheduler="threads"), VOXELS)
    assert read.images[0].scale == {"y": 0.25, "x": 0.5}


@pytest.mark.parametrize("after", [1, 5, None])
def test_a_stopped_conversion_goes_on_to_the_same_file(
    client: Client, picture: Path, tmp_path: Path, after: int | None
) -> None:
    convert(picture, tmp_path / "whole.ozx", client=client)
    stop, blocks = threading.Event(), []

    def end_soon(event: object) -> None:
        blocks.append(isinstance(event, BlockDone))
        # None stands for the moment before the folder is packed.
        is_packed = isinstance(event, Notice) and event.text.startswith("packing")
        if is_packed if after is None else sum(blocks) >= after:
            stop.set()

    with pytest.raises(StoppedError):
        convert(picture, tmp_path / "a.ozx", client=client, stop=stop, on_event=end_soon)
    assert not (tmp_path / "a.ozx").exists()
    with pytest.raises(OutputError, match=r"a.ozx.unpacked exists: give --resume to continue"):
        convert(picture, tmp_path / "a.ozx", client=client)
    report = convert(picture, tmp_path / "a.ozx", client=client, existing="resume")
    assert not report.already_finished
    # The name of the image is that of the file.
    named = {key: held for key, held in files_of(tmp_path / "a.ozx").items() if key != "zarr.json"}
    assert named.items() < files_of(tmp_path / "whole.ozx").items()
    assert not (tmp_path / "a.ozx.unpacked").exists()


def test_a_folder_is_packed_with_its_labels_and_tables(labelled: Path, tmp_path: Path) -> None:
    report = convert(labelled, tmp_path / "a.ozx")
    held = files_of(tmp_path / "a.ozx")
    assert all((labelled / key).read_bytes() == content for key, content in held.items())
    left = {
        path.relative_to(labelled).as_posix() for path in labelled.rglob("*") if path.is_file()
    } - set(held)
    assert all("bigunet" in Path(key).parts for key in left)
    assert {"labels/classes/0/zarr.json", "tables/instances/zarr.json"} <= set(held)
    assert (report.packed_files, report.levels[0]) == (len(held), VOXELS.shape)
    for group in ("labels/classes", "labels/instances"):
        box = open_level(open_image(tmp_path / "a.ozx" / group)).read(WHOLE)[0]
        np.testing.assert_array_equal(box, zarr.open_array(labelled / group / "0")[:])
    assert listed_names(str(tmp_path / "a.ozx"), "labels") == ["classes", "instances"]
    read = ngff_zarr.from_ome_zarr(str(tmp_path / "a.ozx"), validate=True)
    np.testing.assert_array_equal(read.images[0].data.compute(scheduler="threads"), VOXELS)


def test_what_is_not_packed_as_it_is_says_what_it_leaves_out(
    client: Client, labelled: Path, tmp_path: Path
) -> None:
    said: list[str] = []

    def hear(event: object) -> None:
        said.extend([event.text] if isinstance(event, Notice) else [])

    convert(labelled, tmp_path / "a.ozx", ome_version="0.5", client=client, on_event=hear)
    assert f"Warning: {labelled} holds labels classes, instances and tables" in said[0]
    assert open_image(tmp_path / "a.ozx").notes == ()
    assert not any(key.startswith(("labels", "tables")) for key in files_of(tmp_path / "a.ozx"))


def test_another_process_that_writes_the_archive_is_refused(
    client: Client, picture: Path, labelled: Path, tmp_path: Path
) -> None:
    refused: list[str] = []

    def try_too(event: object) -> None:
        # While an image is packed, its blocks are done.
        if isinstance(event, Notice) and event.text.startswith("packing"):
            with pytest.raises(BusyError, match=r"a\.ozx is being written") as error:
                convert(picture, tmp_path / "a.ozx", client=client, existing="overwrite")
            refused.append(str(error.value))

    for source in (picture, labelled):
        convert(source, tmp_path / "a.ozx", client=client, existing="overwrite", on_event=try_too)
    assert len(refused) == 2
    # Neither a lock nor a part of an archive is left.
    assert {path.name for path in tmp_path.iterdir()} == {"a.ozx", "a.ome.tif"}


def test_unfinished_labels_are_not_packed(
    client: Client, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(picture, tmp_path / "a.zarr", client=client)
    stop = threading.Event()
    with pytest.raises(StoppedError):
        segment(
            tmp_path / "a.zarr", model=classes_model(2), client=client, backend="torch", stop=stop,
            on_event=lambda event: stop.set() if isinstance(event, BlockDone) else None,
            block_shape=(32, 32), outputs=("classes",),
        )  # fmt: skip
    with pytest.raises(OutputError, match=r"labels/classes is not finished: end it with --resume"):
        convert(tmp_path / "a.zarr", tmp_path / "a.ozx")
    assert not (tmp_path / "a.ozx").exists()


def test_what_is_there_stays_unless_it_is_ours_and_given_up(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign.ozx").write_bytes(b"PK\x05\x06" + bytes(18))
    for existing in ("refuse", "resume", "overwrite"):
        with pytest.raises(OutputError, match="is not an archive of bigunet: it will not be"):
            convert(labelled, tmp_path / "foreign.ozx", existing=existing)
    convert(labelled, tmp_path / "a.ozx")
    for existing in ("refuse", "resume"):
        with pytest.raises(OutputError, match="exists: give --overwrite"):
            convert(labelled, tmp_path / "a.ozx", existing=existing)
    before = (tmp_path / "a.ozx").read_bytes()
    convert(labelled, tmp_path / "a.ozx", existing="overwrite")
    assert (tmp_path / "a.ozx").read_bytes() == before


@pytest.mark.parametrize(
    ("target", "options", "line"),
    [
        ("a.zarr/b.ozx", {}, "overlap; give another OUT"),
        ("b.zip", {}, r"give OUT.ozx, which is a zip, or a folder"),
        ("s3://bucket/b.ozx", {}, "give a local path"),
        ("b.ozx", {"ome_version": "0.4"}, "an .ozx holds zarr 3; give --ome-version 0.5 or 0.6"),
    ],
)
def test_archives_that_cannot_be_written_are_refused(
    labelled: Path, target: str, options: dict[str, Any], line: str
) -> None:
    path = target if "://" in target else labelled.parent / target
    with pytest.raises(OptionError, match=line):
        convert(labelled, path, **options)


@pytest.mark.parametrize("name", ["out.ozx", "out.zarr.zip"])
def test_a_segmentation_goes_to_a_folder(labelled: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match=r"give .*out.zarr, and pack it later with: bigunet"):
        segment(labelled, tmp_path / name, model=classes_model(2))
