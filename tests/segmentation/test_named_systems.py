"""Segmenting to and into OME-Zarr 0.6: all of 0.5 but the metadata, which ngff-zarr finds valid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import ngff_zarr
import numpy as np
import pytest
import zarr
from distributed import Client
from ngff_zarr.validate import validate
from support.classes_as_image import classes_model

import bigunet
from bigunet.errors import OptionError

CLASSES = np.random.default_rng(3).choice(3, (60, 50), p=[0.5, 0.35, 0.15]).astype(np.uint8)


def write_image(path: Path, version: str) -> Path:
    """Classes as an image of a version, with sizes, units and places."""
    image = ngff_zarr.to_ngff_image(
        CLASSES, dims=["y", "x"], scale={"y": 0.5, "x": 0.25},
        translation={"y": 3.0, "x": -1.0}, axes_units=dict.fromkeys("yx", "micrometer"),
    )  # fmt: skip
    with dask.config.set(scheduler="synchronous"):  # not that of the client of the tests
        levels = ngff_zarr.to_multiscales(image, scale_factors=[2])
        ngff_zarr.to_ngff_zarr(str(path), levels, version=version)
    return path


def segmented(folder: Path, client: Client, version: str, *, inside: bool) -> Path:
    image = write_image(folder / f"{version}.zarr", version)
    output = None if inside else folder / f"{version}-out.zarr"
    outputs = ("classes", "instances") + (() if inside else ("probabilities",))
    bigunet.segment(
        image, output, model=classes_model(2), client=client, backend="torch", outputs=outputs,
        object_class="cell", ome_version="auto" if inside else version, block_shape=(32, 32),
    )  # fmt: skip
    return output or image


def voxels_below(store: Path) -> dict[str, bytes]:
    """All that is stored, without metadata, and without the record of the run."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path.name != "zarr.json" and "bigunet" not in path.parts
    }


@dataclass(frozen=True)
class Pair:
    """The same segmentation in two versions."""

    folder: Path
    inside: bool
    old: Path
    new: Path


@pytest.fixture(scope="module", params=[True, False], ids=["inside", "of-its-own"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, client: Client
) -> Pair:
    folder, inside = tmp_path_factory.mktemp("pair"), request.param
    old, new = (segmented(folder, client, one, inside=inside) for one in ("0.5", "0.6"))
    return Pair(folder, inside, old, new)


def test_voxels_objects_and_tables_are_those_of_version_0_5(pair: Pair) -> None:
    written = ("labels/", "probabilities/", "tables/")
    old, new = (
        {key: held for key, held in voxels_below(one).items() if key.startswith(written)}
        for one in (pair.old, pair.new)
    )
    assert old
    assert old == new
    output = None if pair.inside else pair.new
    image = pair.folder / "0.6.zarr"
    assert bigunet.verify(image, output, model=classes_model(2), windows=2).passed


def test_every_group_is_valid_and_lies_over_the_image(pair: Pair) -> None:
    groups = [] if pair.inside else ["", "probabilities"]
    for name in [*groups, "labels/classes", "labels/instances"]:
        attributes = zarr.open_group(str(pair.new / name), mode="r").attrs.asdict()
        validate(attributes, version="0.6", model="image", strict=True)
        if name.startswith("labels"):
            # Objects have no colours of their own, which is legal, but not in the strict sense.
            is_strict = name == "labels/classes"
            validate(attributes, version="0.6", model="label", strict=is_strict)
        read = ngff_zarr.from_ome_zarr(str(pair.new / name), validate=True)
        assert [one.scale["x"] for one in read.images] == [0.25, 0.5][: 1 + pair.inside]
        assert (read.images[0].scale["y"], read.images[0].translation["x"]) == (0.5, -1)
        axes = read.metadata.coordinateSystems[0].axes
        assert [axis.unit for axis in axes if axis.type == "space"] == ["micrometer"] * 2
    labels = zarr.open_group(str(pair.new / "labels"), mode="r").attrs["ome"]
    assert labels == {"version": "0.6", "labels": ["classes", "instances"]}


def test_another_version_inside_the_image_is_refused(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.zarr", "0.6")
    options: dict[str, Any] = {"model": classes_model(2), "ome_version": "0.5"}
    with pytest.raises(OptionError, match=r"ome version 0.5: .* is OME-Zarr 0.6"):
        bigunet.segment(image, **options)
