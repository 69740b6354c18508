"""What belongs to a path: image, labels, probabilities, table."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client

import bigunet
from bigunet.errors import ImageError, OptionError
from bigunet.viewing.open_scene import SceneRequest, open_scene
from bigunet.viewing.scene import Scene


def scene_of(path: Path, **more: Any) -> Scene:
    return open_scene(SceneRequest(path=path, **more))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, write_image: Any) -> Path:
    path = tmp_path_factory.mktemp("scene") / "in.zarr"
    place = {"scale": [0.5, 0.5], "translation": [10.0, 20.0]}
    write_image(path, "yx", version="0.5", metadata=place)
    return path


@pytest.fixture(scope="module")
def output(image: Path, tiny_model: Path, client: Client) -> Path:
    target = image.with_name("out.zarr")
    bigunet.segment(
        image, target, model=tiny_model, client=client, backend="torch", object_class="class 1",
        outputs=("classes", "instances", "probabilities"), roi={"x": (8, 60)},
    )  # fmt: skip
    return target


def test_an_output_is_shown_with_its_image_classes_objects_and_table(output: Path) -> None:
    scene = scene_of(output)
    assert scene.grey is not None
    assert scene.grey.image.url == str(output.with_name("in.zarr"))
    assert scene.grey.looks[0].window == (0.0, 255.0)
    classes, instances = scene.labels
    assert [(k, one.name) for k, one in classes.values.items()] == [
        (0, "background"), (1, "class 1"), (2, "class 2"),
    ]  # fmt: skip
    assert classes.values[1].colour == "E6A019"
    assert (instances.values, instances.table) == (
        {}, output / "tables/instances/table.parquet",
    )  # fmt: skip
    assert scene.probabilities is not None
    assert [look.name for look in scene.probabilities.looks] == ["background", "class 1", "class 2"]
    assert (scene.run, scene.notes) == (None, ())


def test_labels_lie_where_the_region_lies(output: Path) -> None:
    for layer in scene_of(output).labels:
        assert layer.image.volume_translation() == (10.0, 20.0 + 8 * 0.5)
        assert layer.image.volume_scale() == (0.5, 0.5)


def test_an_unfinished_output_is_shown_where_the_finished_one_lies(
    output: Path, tmp_path: Path
) -> None:
    cut_off = tmp_path / "out.zarr"
    shutil.copytree(output, cut_off)
    for group in ("", "labels/classes", "labels/instances", "probabilities", "labels"):
        zarr.open_group(cut_off, path=group, mode="a").attrs.clear()
    scene, whole = scene_of(cut_off), scene_of(output)
    assert scene.run == cut_off
    assert scene.probabilities is not None
    assert whole.probabilities is not None
    pairs = [*zip(scene.labels, whole.labels), (scene.probabilities, whole.probabilities)]
    for one, other in pairs:
        assert one.image.axes == other.image.axes
        assert one.image.volume_shape() == other.image.volume_shape()
        assert one.image.volume_scale() == other.image.volume_scale()
        assert one.image.volume_translation() == other.image.volume_translation()
    assert [layer.name for layer in scene.labels] == ["classes", "instances"]


def test_an_output_without_its_image_is_shown_alone_and_says_so(
    output: Path, tmp_path: Path
) -> None:
    shutil.copytree(output, tmp_path / "out.zarr")
    moved = image_moved(output, tmp_path)
    try:
        scene = scene_of(tmp_path / "out.zarr")
        assert scene.grey is None
        assert len(scene.labels) == 2
        (note,) = scene.notes
        assert note.startswith("the image is not shown, only the labels: /")
        shown = scene_of(tmp_path / "out.zarr", image=moved)
        assert shown.grey is not None
        assert shown.notes == ()
        with pytest.raises(ImageError):
            scene_of(tmp_path / "out.zarr", image=tmp_path / "nothing.zarr")
        zarr.save_array(tmp_path / "other.zarr", np.zeros((90, 71), np.uint8))
        with pytest.raises(OptionError, match=r"shape 90 × 71, and .* had 90 × 70: give that"):
            scene_of(tmp_path / "out.zarr", image=tmp_path / "other.zarr")
    finally:
        shutil.move(moved, output.with_name("in.zarr"))


def image_moved(output: Path, folder: Path) -> Path:
    shutil.move(output.with_name("in.zarr"), folder / "moved.zarr")
    return folder / "moved.zarr"


def test_labels_inside_an_image_are_shown_over_it(
    tmp_path: Path, write_image: Any, tiny_model: Path, client: Client
) -> None:
    write_image(tmp_path / "in.zarr", "yx", version="0.5")
    bigunet.segment(
        tmp_path / "in.zarr", model=tiny_model, client=client, backend="torch",
        object_class="class 1", outputs=("classes", "instances"),
    )  # fmt: skip
    scene = scene_of(tmp_path / "in.zarr")
    assert scene.grey is not None
    assert sorted(layer.name for layer in scene.labels) == ["classes", "instances"]
    by_name = {layer.name: layer for layer in scene.labels}
    assert by_name["instances"].table == tmp_path / "in.zarr/tables/instances/table.parquet"
    assert len(by_name["classes"].values) == 3
    assert scene.run is None
    alone = scene_of(tmp_path / "in.zarr/labels/classes")
    assert alone.grey is None
    assert [layer.values for layer in alone.labels] == [by_name["classes"].values]
    # As a run that is under way leaves it: unlisted, and without metadata.
    zarr.open_group(tmp_path / "in.zarr/labels", mode="a").attrs.clear()
    zarr.open_group(tmp_path / "in.zarr/labels/classes", mode="a").attrs.clear()
    under_way = scene_of(tmp_path / "in.zarr")
    assert under_way.run == tmp_path / "in.zarr/labels/classes"
    assert [layer.name for layer in under_way.labels] == ["classes", "instances"]
    places = [layer.image.volume_scale() for layer in under_way.labels]
    assert places == [by_name["classes"].image.volume_scale()] * 2


def test_a_bare_array_of_large_numbers_is_labels_and_of_small_ones_an_image(
    tmp_path: Path,
) -> None:
    zarr.save_array(tmp_path / "ids.zarr", np.zeros((8, 9), np.uint32))
    zarr.save_array(tmp_path / "grey.zarr", np.zeros((8, 9), np.uint16))
    assert scene_of(tmp_path / "ids.zarr").grey is None
    assert scene_of(tmp_path / "grey.zarr").labels == ()


def test_labels_of_others_are_laid_over_an_image_under_names_of_their_own(
    image: Path, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        zarr.save_array(tmp_path / folder / "cells.zarr", np.zeros((90, 70), np.uint8))
    scene = scene_of(image, labels=[tmp_path / "a/cells.zarr", tmp_path / "b/cells.zarr"])
    assert [layer.name for layer in scene.labels] == ["cells", "cells 2"]


def test_a_field_of_a_plate_is_named_or_its_path_is_given(tmp_path: Path, write_image: Any) -> None:
    plate = tmp_path / "plate.zarr"
    root = zarr.open_group(plate, mode="w", zarr_format=2)
    root.attrs["plate"] = {"wells": [{"path": "A/1"}], "version": "0.4"}
    well = zarr.open_group(plate, path="A/1", mode="a", zarr_format=2)
    well.attrs["well"] = {"images": [{"path": "0"}], "version": "0.4"}
    write_image(plate / "A/1/0", "yx")
    for scene in (scene_of(plate, field="A/1/0"), scene_of(plate / "A/1/0")):
        assert scene.grey is not None
        assert scene.grey.image.url == str(plate / "A/1/0")
    with pytest.raises(OptionError, match=r"give one, such as --field A/1/0"):
        scene_of(plate)
    with pytest.raises(OptionError, match=r"--field B/1/0: .* has A/1/0"):
        scene_of(plate, field="B/1/0")
    with pytest.raises(OptionError, match="is no plate; leave it out"):
        scene_of(plate / "A/1/0", field="A/1/0")


def test_an_image_of_its_own_has_no_other_image(image: Path) -> None:
    with pytest.raises(OptionError, match=r"--image: .* is no output of bigunet; leave it out"):
        scene_of(image, image=image)
