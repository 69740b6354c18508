"""Laws of numbered objects inside an image: those of an output of its own, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import zarr
from support.classes_as_image import classes_model
from support.classes_in_ome_zarr import OBJECTS, some_classes, write_classes_image
from support.inside import NO_OBJECTS, beside, ids, listed

import bigunet
from bigunet import SegmentReport
from bigunet.errors import OptionError, OutputError, ResumeError

MODEL = classes_model(2)
SHAPE = (64, 90)

Segment = Callable[..., SegmentReport]


@pytest.fixture(scope="module")
def segment(client: Any) -> Segment:
    def run(image: Path, target: Path | None = None, **more: Any) -> SegmentReport:
        options = OBJECTS | more
        return bigunet.segment(image, target, model=MODEL, client=client, **options)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, segment: Segment) -> Path:
    """A finished run inside an image of six blocks."""
    image = write_classes_image(tmp_path_factory.mktemp("whole") / "in.zarr", some_classes(*SHAPE))
    segment(image)
    return image


def add_theirs(image: Path, version: str = "0.5") -> None:
    """A label and a table of another program, in the lists of the image."""
    root = zarr.open_group(image, mode="a")
    labels = root.require_group("labels")
    listed = {"labels": ["theirs"]}
    labels.attrs.put(listed if version == "0.4" else {"ome": listed | {"version": "0.5"}})
    labels.create_group("theirs").create_array("0", shape=(3,), dtype="uint8")[:] = 7
    tables = root.require_group("tables")
    tables.attrs.put({"tables": ["theirs"], "more": 1})
    tables.create_group("theirs").attrs["type"] = "feature_table"
    (image / "tables/theirs/table.csv").write_text("label\n1\n")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_objects_and_tables_are_those_of_an_output_and_nothing_else_changes(
    tmp_path: Path, segment: Segment, version: str
) -> None:
    classes = some_classes(70, 90)
    image = write_classes_image(tmp_path / "in.zarr", classes, version=version)
    add_theirs(image, version)
    before = beside(image)
    report = segment(image)
    own = segment(image, tmp_path / "out.zarr")
    assert report.objects == own.objects
    assert np.array_equal(ids(image), bigunet.label_objects(classes, border=2))
    for level in range(2):
        assert (
            ids(image, level).shape == zarr.open_array(str(image / f"{level}"), mode="r").shape[1:]
        )
    for table in ("instances", "instances_ROI_table"):
        file = f"tables/{table}/table.parquet"
        assert (image / file).read_bytes() == (tmp_path / "out.zarr" / file).read_bytes()
        attributes = zarr.open_group(image / "tables" / table, mode="r").attrs
        assert attributes["region"] == {"path": "../labels/instances"}
    assert report.table == str(image / "tables/instances/table.parquet")
    assert report.output == str(image / "labels/classes")
    assert beside(image) == before
    both = ["theirs", "classes", "instances"], ["theirs", "instances_ROI_table", "instances"]
    assert [sorted(names) for names in listed(image)] == [sorted(names) for names in both]
    assert zarr.open_group(image / "tables", mode="r").attrs["more"] == 1
    assert bigunet.verify(image, model=MODEL).passed
    assert segment(image, existing="resume").already_finished
    assert (
        bigunet.info(image)["segmentation"]["report"]["objects"]["num_objects"] == ids(image).max()
    )
    scores = bigunet.evaluate(
        image / "labels/instances", tmp_path / "out.zarr/labels/instances", kind="instances"
    ).scores
    assert scores["mean_average_precision"] == 1.0


def test_the_command_counts_the_objects_of_an_image(
    bigunet: Any, tmp_path: Path, tiny_model: Path, client: Any
) -> None:
    image = write_classes_image(tmp_path / "in.zarr", some_classes(40, 50))
    done = bigunet(
        "segment", image, "--model", tiny_model, "--scheduler", client.scheduler.address,
        "--object-class", "1", "--channel", "0", "--grey-range", "0:2", "--table",
        tmp_path / "cells.csv",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert any(line.startswith(f"objects: {ids(image).max():,} of class") for line in done.messages)
    assert f"table: {image / 'tables/instances/table.parquet'}" in done.messages
    assert len(pandas.read_csv(tmp_path / "cells.csv")) == ids(image).max()


def theirs_label(image: Path) -> None:
    zarr.open_group(image / "labels/instances", mode="w").create_array("0", shape=(3,), dtype="u1")


def theirs_table(image: Path) -> None:
    zarr.open_group(image / "tables/instances", mode="w").attrs["type"] = "feature_table"


def more_in_ours(image: Path) -> None:
    (image / "labels/instances/bigunet").mkdir(parents=True)
    (image / "labels/instances/notes.txt").write_text("precious")


def label_is_a_link(image: Path) -> None:
    (image / "labels").mkdir()
    (image.parent / "elsewhere").mkdir()
    (image / "labels/instances").symlink_to(image.parent / "elsewhere")


def tables_are_a_link(image: Path) -> None:
    (image.parent / "elsewhere").mkdir()
    (image / "tables").symlink_to(image.parent / "elsewhere")


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (theirs_label, "labels/instances was not made by bigunet.*--output classes or an OUT"),
        (theirs_table, "tables/instances was not made by bigunet.*--no-table or an OUT"),
        (more_in_ours, "labels/instances was not made by bigunet"),
        (label_is_a_link, "labels/instances was not made by bigunet"),
        (tables_are_a_link, "tables/instances was not made by bigunet"),
    ],
)
def test_what_others_made_is_refused_and_stays(
    tmp_path: Path, segment: Segment, make: Callable[[Path], None], advice: str
) -> None:
    image = write_classes_image(tmp_path / "in.zarr", some_classes(40, 40))
    make(image)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for existing in ("refuse", "resume", "overwrite"):
        with pytest.raises(OutputError, match=advice):
            segment(image, existing=existing)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    segment(image, outputs=("classes",), **NO_OBJECTS)
    segment(image, outputs=("classes",), existing="overwrite", **NO_OBJECTS)
    lists = {p: p.read_bytes() for p in before if p.parent == image / "labels"}
    assert {p: p.read_bytes() for p in before} == before | lists


def test_objects_without_their_classes_are_known_as_those_of_a_run(
    tmp_path: Path, whole: Path, segment: Segment
) -> None:
    image = tmp_path / "in.zarr"
    shutil.copytree(whole, image)
    shutil.rmtree(image / "labels/classes")
    with pytest.raises(OutputError, match="labels/instances exists: give --resume"):
        segment(image)
    segment(image, existing="overwrite", outputs=("classes",), **NO_OBJECTS)
    assert listed(image) == (["classes"], [])
    assert not (image / "labels/instances").exists()


def test_another_rule_of_objects_is_another_run(whole: Path, segment: Segment) -> None:
    with pytest.raises(OutputError, match="exists: give --resume"):
        segment(whole)
    with pytest.raises(ResumeError, match="smallest"):
        segment(whole, existing="resume", smallest="5")
    with pytest.raises(OptionError, match=r"only classes and instances.*give an OUT"):
        segment(whole, outputs=("instances", "probabilities"))
    with pytest.raises(OptionError, match=r"object threshold 0\.5: .*give an OUT"):
        segment(whole, object_threshold=0.5)


def test_a_list_of_tables_that_cannot_be_read_is_refused_before_the_first_block(
    tmp_path: Path, segment: Segment
) -> None:
    image = write_classes_image(tmp_path / "in.zarr", some_classes(40, 40))
    (image / "tables").mkdir()
    (image / "tables/zarr.json").write_text("{")
    with pytest.raises(OutputError, match=r"tables/zarr\.json: repair or remove"):
        segment(image)
    assert not (image / "labels").exists()


def test_pandas_reads_the_table_of_the_image(whole: Path) -> None:
    table = pandas.read_parquet(whole / "tables/instances/table.parquet")
    assert len(table) == ids(whole).max()
    assert {"intensity_mean-classes", "intensity_mean-DAPI"} < set(table.columns)
