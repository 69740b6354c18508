"""Laws of the table of a run: that of the whole image in memory, in every number."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import zarr
from support.classes_as_image import classes_model, write_classes

import bigunet
from bigunet import SegmentReport
from bigunet.errors import OptionError, OutputError, ResumeError

MODEL = classes_model(2)
OPTIONS: dict[str, Any] = {
    "object_class": "cell", "border_class": "border", "backend": "torch", "tile_shape": (64, 64),
    "block_shape": (32, 48),
}  # fmt: skip


def some_classes(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).choice(3, shape, p=[0.5, 0.4, 0.1]).astype(np.uint8)


def table_of(report: SegmentReport) -> pandas.DataFrame:
    return pandas.read_parquet(report.table)


def same(table: pandas.DataFrame, columns: dict[str, np.ndarray]) -> None:
    """Equal columns, in the same order."""
    expected = pandas.DataFrame(columns)
    expected["label"] = expected["label"].astype(table["label"].dtype)
    pandas.testing.assert_frame_equal(table, expected, check_exact=True)


def image_with_channels(path: Path, classes: np.ndarray) -> np.ndarray:
    """An OME-Zarr of two channels of 16 bits with voxels of 0.5 µm; the first has the classes."""
    grey = np.stack([classes, np.arange(classes.size).reshape(classes.shape)]).astype(np.uint16)
    group = zarr.create_group(str(path))
    scale = {"type": "scale", "scale": [1.0, 0.5, 0.5]}
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": datasets}],
        "omero": {"channels": [{"label": "classes"}, {"label": "DAPI"}]},
    }
    array = group.create_array("0", shape=grey.shape, chunks=(1, 32, 32), dtype="uint16")
    array[:] = grey
    return grey


def test_the_table_is_that_of_the_whole_image_with_all_of_its_channels(
    client: Any, tmp_path: Path
) -> None:
    classes = some_classes(100, 130)
    grey = image_with_channels(tmp_path / "in.zarr", classes)
    report = bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, client=client,
        outputs=("classes", "probabilities", "instances"), channels=("classes",), **OPTIONS,
    )  # fmt: skip
    ids = bigunet.label_objects(classes, border=2)
    shares = zarr.open_array(str(tmp_path / "out.zarr/probabilities/0"), mode="r")[1]
    whole = bigunet.measure(ids, grey, probability=shares, voxel_size_um=0.5, class_name="cell")
    named = {"0": "classes", "1": "DAPI"}
    renamed = {
        f"{name[:-1]}{named[name[-1]]}" if name.startswith("intensity") else name: column
        for name, column in whole.items()
    }
    same(table_of(report), renamed)
    assert report.objects is not None
    assert len(table_of(report)) == report.objects.num_objects
    assert bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL).passed


def test_a_part_of_the_image_has_a_table_of_its_own(client: Any, tmp_path: Path) -> None:
    classes = some_classes(90, 120)
    write_classes(tmp_path / "in.zarr", classes)
    report = bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, client=client,
        outputs=("instances",), roi={"y": (13, 77), "x": (5, 101)}, **OPTIONS,
    )  # fmt: skip
    part = classes[13:77, 5:101]
    ids = bigunet.label_objects(part, border=2)
    assert np.array_equal(zarr.open_array(str(tmp_path / "out.zarr/labels/instances/0"))[:], ids)
    same(table_of(report), bigunet.measure(ids, part, class_name="cell"))


def test_frames_of_a_series_are_measured_one_by_one(client: Any, tmp_path: Path) -> None:
    classes = some_classes(3, 40, 50)
    write_classes(tmp_path / "in.zarr", classes, axes="tyx")
    report = bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, client=client,
        outputs=("instances",), **{**OPTIONS, "block_shape": (2, 32, 48)},
    )  # fmt: skip
    ids = bigunet.label_objects(classes, border=2, frames=1)
    same(table_of(report), bigunet.measure(ids, classes, frames=["t"], class_name="cell"))


def test_no_table_is_written_if_nobody_wants_one(client: Any, tmp_path: Path) -> None:
    write_classes(tmp_path / "in.zarr", some_classes(40, 50))
    report = bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, client=client,
        outputs=("instances",), no_table=True, **OPTIONS,
    )  # fmt: skip
    assert report.table == ""
    assert report.objects is not None
    assert report.objects.median_voxels is None
    assert not (tmp_path / "out.zarr/tables").exists()


def test_a_table_that_was_lost_is_made_again(client: Any, tmp_path: Path) -> None:
    write_classes(tmp_path / "in.zarr", some_classes(40, 50))

    def run(**arguments: Any) -> SegmentReport:
        return bigunet.segment(
            tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, client=client,
            outputs=("instances",), **arguments, **OPTIONS,
        )  # fmt: skip

    table = table_of(run())
    shutil.rmtree(tmp_path / "out.zarr/tables/instances")
    report = run(existing="resume")
    assert report.blocks_done == 0
    pandas.testing.assert_frame_equal(table_of(report), table)


def test_verify_sees_a_wrong_id(client: Any, tmp_path: Path) -> None:
    write_classes(tmp_path / "in.zarr", some_classes(100, 130))
    bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, client=client,
        outputs=("instances",), smallest="2", **OPTIONS,
    )  # fmt: skip
    assert bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL).passed
    array = zarr.open_array(str(tmp_path / "out.zarr/labels/instances/0"))
    ids = array[:]
    place = tuple(np.argwhere(ids)[len(np.argwhere(ids)) // 2])
    for wrong in (0, 10**6):
        array[place] = wrong
        found = bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL, windows=30)
        assert found.ids_wrong > 0
        assert found.labels_wrong == 0
        assert not found.passed
    array[:] = ids
    assert bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr", model=MODEL).passed


def test_the_command_copies_the_table_and_says_what_it_counted(
    bigunet: Any, tiny_model: Path, tmp_path: Path
) -> None:
    write_classes(tmp_path / "in.zarr", some_classes(60, 70))
    arguments = ["segment", tmp_path / "in.zarr", "--model", tiny_model, "--grey-range", "0:2"]
    done = bigunet(
        *arguments, tmp_path / "out.zarr", "--output", "instances", "--object-class", "1",
        "--table", tmp_path / "cells.csv",
    )  # fmt: skip
    assert done.code == 0, done.err
    table = pandas.read_csv(tmp_path / "cells.csv")
    assert f"objects: {len(table):,} of class" in done.err
    assert "tables/instances/table.parquet" in done.err
    assert done.err.rstrip().endswith(f"table: {tmp_path / 'cells.csv'}")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["b.zarr", "--object-class", "1", "--table", "cells.txt"], "name it .csv or .parquet"),
        (["b.zarr", "--object-class", "1", "--table", "no/cells.csv"], "make it first"),
        (["b.zarr", "--table", "cells.csv"], "no objects are numbered"),
        (["b.zarr", "--object-class", "1", "--table", "a.csv", "--no-table"], "contradict"),
        (["--object-class", "1", "--table", "cells.csv"], "give an OUT"),
    ],
)
def test_a_table_that_would_not_be_written_is_refused_before_the_first_block(
    bigunet: Any, tiny_model: Path, tmp_path: Path, words: list[str], reason: str
) -> None:
    write_classes(tmp_path / "in.zarr", some_classes(20, 30))
    paths = [tmp_path / word if "." in word else word for word in words]
    refused = bigunet("segment", tmp_path / "in.zarr", *paths, "--model", tiny_model)
    assert refused.code == 1
    assert reason in refused.err
    assert not (tmp_path / "b.zarr").exists()


def test_the_smallest_size_may_be_given_in_micrometres(client: Any, tmp_path: Path) -> None:
    classes = some_classes(60, 70)
    image_with_channels(tmp_path / "in.zarr", classes)
    arguments: dict[str, Any] = {
        "model": MODEL, "client": client, "outputs": ("instances",), "channels": ("classes",),
        **OPTIONS,
    }  # fmt: skip
    report = bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", smallest="1um2", **arguments
    )
    assert report.plan.objects is not None
    assert report.plan.objects.smallest == 4
    expected = bigunet.label_objects(classes, border=2, smallest=4).max()
    assert report.objects is not None
    assert report.objects.num_objects == expected
    for wrong, reason in (("1um3", "µm³"), ("many", "a size such as 20")):
        with pytest.raises(OptionError, match=reason):
            bigunet.segment(tmp_path / "in.zarr", tmp_path / "b.zarr", smallest=wrong, **arguments)


def test_a_channel_that_is_only_measured_must_not_change_either(
    client: Any, tmp_path: Path
) -> None:
    grey = image_with_channels(tmp_path / "in.zarr", some_classes(60, 70))
    arguments: dict[str, Any] = {
        "model": MODEL, "client": client, "outputs": ("instances",), "channels": ("classes",),
        **OPTIONS,
    }  # fmt: skip
    bigunet.segment(tmp_path / "in.zarr", tmp_path / "out.zarr", **arguments)
    zarr.open_array(str(tmp_path / "in.zarr/0"))[1] = grey[1][::-1]
    with pytest.raises(ResumeError):
        bigunet.segment(tmp_path / "in.zarr", tmp_path / "out.zarr", existing="resume", **arguments)


def test_tables_of_others_are_not_removed(client: Any, tmp_path: Path) -> None:
    write_classes(tmp_path / "in.zarr", some_classes(40, 50))
    arguments: dict[str, Any] = {
        "model": MODEL, "client": client, "outputs": ("instances",), **OPTIONS,
    }  # fmt: skip
    bigunet.segment(tmp_path / "in.zarr", tmp_path / "out.zarr", **arguments)
    (tmp_path / "out.zarr/tables/mine").mkdir()
    with pytest.raises(OutputError, match="will not be touched"):
        bigunet.segment(
            tmp_path / "in.zarr", tmp_path / "out.zarr", existing="overwrite", **arguments
        )
