"""Published outputs: validators and readers accept them, and the root is written last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ngff_zarr
import numpy as np
import ome_zarr_models
import pytest
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from support.outputs import (
    CLASSES,
    IMAGE_AXES,
    LABEL_AXES,
    MODELS,
    SCALES,
    TRANSLATIONS,
    VERSIONS,
    output_image,
    random_values,
    reference_levels,
    write_all,
)
from zarr.storage import LocalStore

from bigunet.errors import OutputError
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.publish import is_complete, write_discovery_metadata


def expected_transforms(output: OutputImage, level: int) -> tuple[list[float], list[float]]:
    """Scale and translation in storage order, from the definition of the centre of a voxel."""
    scales, translations = [], []
    for axis in output.axes:
        if axis.type == "channel":
            scales.append(1.0)
            translations.append(0.0)
            continue
        factor = output.layout.levels[level].factor[output.canonical_names.index(axis.name)]
        scale = SCALES[axis.name]
        scales.append(scale * factor)
        translations.append(TRANSLATIONS[axis.name] + scale * (factor - 1) / 2)
    return scales, translations


@pytest.fixture(params=[(a, v) for a in LABEL_AXES + IMAGE_AXES for v in VERSIONS], ids="-".join)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> OutputImage:
    axes, version = request.param
    output = output_image(tmp_path / "out.zarr", axes, version)
    write_all(output, random_values(output))
    write_discovery_metadata([output], provenance={"model": "test"})
    return output


def test_root_labels_and_groups_pass_validation(published: OutputImage) -> None:
    models = MODELS[published.version]
    root = zarr.open_group(published.store, mode="r")
    models.Image.from_zarr(root)
    models.Image.from_zarr(root[published.group])
    if published.kind == "label":
        label = models.ImageLabel.from_zarr(root[published.group])
        attributes = label.attributes.ome if published.version == "0.5" else label.attributes
        assert len(attributes.image_label.colors) == len(CLASSES)
        listing = models.Labels.from_zarr(root["labels"]).attributes
        listing = listing.ome if published.version == "0.5" else listing
        assert listing.labels == ["classes"]
    opened = ome_zarr_models.open_ome_zarr(root)
    assert type(opened).__name__ == "Image"


def test_ome_zarr_reads_all_levels_from_the_root(published: OutputImage) -> None:
    for place in (published.store, f"{published.store}/{published.group}"):
        location = parse_url(place)
        node = next(iter(Reader(location)()))
        expected = reference_levels(published, random_values(published))
        for level, (voxels, whole) in enumerate(zip(node.data, expected, strict=True)):
            stored = voxels.compute(scheduler="threads")
            np.testing.assert_array_equal(stored, whole, strict=True)
            scale, translation = node.metadata["coordinateTransformations"][level]
            assert scale["scale"] == expected_transforms(published, level)[0]
            assert translation["translation"] == expected_transforms(published, level)[1]


def test_ngff_zarr_reads_all_levels_from_the_root(published: OutputImage) -> None:
    images = ngff_zarr.from_ngff_zarr(published.store).images
    expected = reference_levels(published, random_values(published))
    for level, (image, whole) in enumerate(zip(images, expected, strict=True)):
        np.testing.assert_array_equal(image.data.compute(scheduler="threads"), whole, strict=True)
        scales, translations = expected_transforms(published, level)
        names = [axis.name for axis in published.axes]
        assert tuple(image.dims) == tuple(names)
        for name, scale, translation in zip(names, scales, translations):
            assert image.scale.get(name, 1.0) == scale
            assert image.translation.get(name, 0.0) == translation


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("axes", ["yx", "cyx"])
def test_nothing_is_an_image_before_it_is_published(
    tmp_path: Path, axes: str, version: str
) -> None:
    output = output_image(tmp_path / "out.zarr", axes, version)
    assert not is_complete(output.store)
    write_all(output, random_values(output))
    for path in ("", output.group):
        group = zarr.open_group(output.store, path=path, mode="r")
        with pytest.raises(RuntimeError, match="Could not successfully validate"):
            ome_zarr_models.open_ome_zarr(group)
        location = parse_url(f"{output.store}/{path}")
        assert location is None or not list(Reader(location)())
    assert not is_complete(output.store)
    write_discovery_metadata([output], provenance={})
    assert is_complete(output.store)


def test_the_root_is_published_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "out.zarr"
    outputs = [output_image(store, "cyx"), output_image(store, "yx")]
    for output in outputs:
        create_arrays(output)
    keys: list[str] = []
    put = LocalStore.set

    async def recorded(self: LocalStore, key: str, value: Any) -> None:
        keys.append(key)
        await put(self, key, value)

    monkeypatch.setattr(LocalStore, "set", recorded)
    write_discovery_metadata(outputs, provenance={})
    assert list(dict.fromkeys(keys)) == [
        "probabilities/zarr.json",
        "labels/classes/zarr.json",
        "labels/zarr.json",
        "zarr.json",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_root_shows_the_first_label_and_keeps_the_provenance(
    tmp_path: Path, version: str
) -> None:
    store = tmp_path / "out.zarr"
    classes = output_image(store, "yx", version)
    instances = replace(classes, group="labels/instances", dtype="uint32", classes=())
    outputs = [output_image(store, "cyx", version), classes, instances]
    for output in outputs:
        create_arrays(output)
    write_discovery_metadata(outputs, provenance={"model": "m", "levels": [1, 2]})
    root = zarr.open_group(store, mode="r")
    attributes = root.attrs.asdict()
    content = attributes.get("ome", attributes)
    paths = [dataset["path"] for dataset in content["multiscales"][0]["datasets"]]
    assert paths == [f"labels/classes/{k}" for k in range(len(paths))]
    assert attributes["bigunet"] == {"model": "m", "levels": [1, 2]}
    assert "image-label" not in content
    labels = root["labels"].attrs.asdict()
    assert labels.get("ome", labels)["labels"] == ["classes", "instances"]
    label = MODELS[version].ImageLabel.from_zarr(root["labels/instances"]).attributes
    label = label.ome if version == "0.5" else label
    assert (label.image_label.colors, label.image_label.source) == (None, None)


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_inside_their_image_do_not_change_its_root(tmp_path: Path, version: str) -> None:
    store = tmp_path / "in.zarr"
    image = output_image(store, "cyx", version)
    create_arrays(image)
    manual = output_image(store, "yx", version, group="labels/manual")
    create_arrays(manual)
    write_discovery_metadata([image, manual], provenance={})
    root = zarr.open_group(store, mode="r")
    before = root.attrs.asdict()
    label = output_image(store, "yx", version)
    create_arrays(label)
    assert not is_complete(str(store), "labels/classes")
    write_discovery_metadata([label], provenance={"model": "m"}, inside_image=True)
    assert is_complete(str(store), "labels/classes")
    root = zarr.open_group(store, mode="r")
    assert root.attrs.asdict() == before
    labels = root["labels"].attrs.asdict()
    assert labels.get("ome", labels)["labels"] == ["manual", "classes"]
    attributes = root["labels/classes"].attrs.asdict()
    assert attributes["bigunet"] == {"model": "m"}
    assert attributes.get("ome", attributes)["image-label"]["source"] == {"image": "../../"}


def test_channels_of_probabilities_are_the_classes(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "cyx")
    create_arrays(output)
    write_discovery_metadata([output], provenance={})
    omero = zarr.open_group(output.store, path=output.group, mode="r").attrs["ome"]["omero"]
    assert [(c["label"], c["color"]) for c in omero["channels"]] == [
        ("background", "000000"),
        ("cell", "FF8000"),
        ("nucleus", "0040FF"),
    ]
    assert omero["channels"][1]["window"] == {"min": 0, "max": 255, "start": 0, "end": 255}


def test_outputs_of_two_stores_are_not_published_together() -> None:
    outputs = [output_image("a.zarr", "yx"), output_image("b.zarr", "yx")]
    with pytest.raises(OutputError, match="one store and version"):
        write_discovery_metadata(outputs, provenance={})
