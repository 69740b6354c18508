"""OME-Zarr 0.6 as it is written: ngff-zarr finds it valid, and reads axes, sizes and voxels."""

from __future__ import annotations

from pathlib import Path

import ngff_zarr
import numpy as np
import pytest
import zarr
from ngff_zarr.structural_validation import validate_structural
from ngff_zarr.validate import validate
from support.outputs import (
    SCALES,
    TRANSLATIONS,
    output_image,
    random_values,
    reference_levels,
    write_all,
)

from bigunet.io.images.discovery import open_multiscale
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.publish import is_complete, write_discovery_metadata


@pytest.fixture(scope="module", params=["yx", "tyx", "zyx", "cyx"])
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> OutputImage:
    output = output_image(tmp_path_factory.mktemp("out"), request.param, "0.6")
    write_all(output, random_values(output))
    write_discovery_metadata([output], provenance={"model": "test"})
    return output


def test_root_labels_and_groups_are_valid_in_the_strict_sense(published: OutputImage) -> None:
    root = zarr.open_group(published.store, mode="r")
    for group in (root, root[published.group]):
        validate(group.attrs.asdict(), version="0.6", model="image", strict=True)
    validate_structural(ngff_zarr.from_ome_zarr(published.store, validate=True).metadata)
    if published.kind == "label":
        attributes = root[published.group].attrs.asdict()
        validate(attributes, version="0.6", model="label", strict=True)
        assert root["labels"].attrs["ome"] == {"version": "0.6", "labels": ["classes"]}
        assert "version" not in attributes["ome"]["image-label"]
        assert attributes["ome"]["image-label"]["colors"][0]["rgba"][3] == 0
    assert is_complete(published.store)


def test_ngff_zarr_reads_voxels_axes_sizes_and_units(published: OutputImage) -> None:
    names = [axis.name for axis in published.axes]
    expected = reference_levels(published, random_values(published))
    for place in (published.store, f"{published.store}/{published.group}"):
        read = ngff_zarr.from_ome_zarr(place)
        assert tuple(read.images[0].dims) == tuple(names)
        (system,) = read.metadata.coordinateSystems
        units = [(axis.name, axis.type, axis.unit) for axis in system.axes]
        assert units == [(axis.name, axis.type, axis.unit) for axis in published.axes]
        for image, whole in zip(read.images, expected, strict=True):
            voxels = image.data.compute(scheduler="threads")
            np.testing.assert_array_equal(voxels, whole, strict=True)
        spatial = [name for name in names if name != "c"]
        assert [read.images[0].scale[a] for a in spatial] == [SCALES[a] for a in spatial]
        assert [read.images[0].translation[a] for a in spatial] == [
            TRANSLATIONS[a] for a in spatial
        ]


def test_levels_are_where_those_of_version_0_5_are(published: OutputImage, tmp_path: Path) -> None:
    axes = "".join(axis.name for axis in published.axes)
    older = output_image(tmp_path / "older.zarr", axes, "0.5")
    create_arrays(older)
    write_discovery_metadata([older], provenance={"model": "test"})
    new, old = open_multiscale(published.store), open_multiscale(older.store)
    assert (new.axes, new.levels, new.channel_names) == (old.axes, old.levels, old.channel_names)
    assert not new.notes
