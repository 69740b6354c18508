"""Laws of OME-Zarr 0.6: axes, sizes and places are those of the system to which all levels map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import ngff_zarr
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from bigunet import info
from bigunet.errors import ImageError
from bigunet.io.images import ngff
from bigunet.io.images.coordinate_systems import flattened
from bigunet.io.images.discovery import open_multiscale

AXES = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
OTHER = [{"name": name, "type": "space"} for name in "zyx"]
POWERS = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
WHOLE = st.integers(-9, 9).map(float)
TRIPLES = {"scale": st.tuples(*[POWERS] * 3), "translation": st.tuples(*[WHOLE] * 3)}
STEPS = st.one_of(
    *(st.fixed_dictionaries({"type": st.just(k), k: v.map(list)}) for k, v in TRIPLES.items()),
    st.just({"type": "identity"}),
)
TREES = st.recursive(
    STEPS,
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("sequence"), "transformations": st.lists(inner, min_size=1, max_size=3)}
    ),
    max_leaves=6,
)


def moved(transform: dict[str, Any], point: np.ndarray) -> np.ndarray:
    """Where a transformation puts a point, step by step as the specification says."""
    match transform["type"]:
        case "scale":
            return point * transform["scale"]
        case "translation":
            return point + transform["translation"]
        case "sequence":
            for one in transform["transformations"]:
                point = moved(one, point)
    return point


def multiscale(*transforms: dict[str, Any], outer: Any = None) -> dict[str, Any]:
    """An image of 0.6 with a level for each transformation."""
    datasets = [
        {
            "path": f"s{k}",
            "coordinateTransformations": [
                {**one, "input": {"path": f"s{k}"}, "output": {"name": "intrinsic"}}
            ],
        }
        for k, one in enumerate(transforms)
    ]
    systems = [{"name": "world", "axes": OTHER}, {"name": "intrinsic", "axes": AXES}]
    outermost = {} if outer is None else {"coordinateTransformations": outer}
    return {"coordinateSystems": systems, "datasets": datasets} | outermost


def has_scale(transform: dict[str, Any]) -> bool:
    inner = transform.get("transformations", [])
    return transform["type"] in ("scale", "identity") or any(map(has_scale, inner))


@given(TREES.filter(has_scale), st.tuples(*[WHOLE] * 3))
def test_a_level_maps_each_point_as_its_transformation_does(
    transform: dict[str, Any], point: tuple[float, ...]
) -> None:
    flat = flattened(multiscale(transform), "i").multiscale
    (dataset,) = flat["datasets"]
    scale, translation = ngff.parse_transforms(dataset["coordinateTransformations"], 3, "i")
    assert scale is not None
    expected = moved(transform, np.array(point))
    np.testing.assert_array_equal(np.array(point) * scale + translation, expected)
    assert [axis.unit for axis in ngff.parse_axes(flat["axes"], "i")] == ["micrometer"] * 3


@given(TREES.filter(has_scale), TREES, st.booleans())
def test_transformations_to_other_systems_change_nothing_and_are_named(
    transform: dict[str, Any], outer: dict[str, Any], is_inverse: bool
) -> None:
    ends = [{"name": "world"}, {"name": "intrinsic"}]
    link = dict(zip(("input", "output"), ends if is_inverse else reversed(ends)))
    alone = flattened(multiscale(transform), "i")
    linked = flattened(multiscale(transform, outer=[{**outer, **link}]), "i")
    assert linked.multiscale == alone.multiscale
    assert not alone.notes("i")
    assert bool(linked.notes("i")) == (outer["type"] != "identity")
    assert all(f"'world' ({outer['type']})" in note for note in linked.notes("i"))


SCALE = {"type": "scale", "scale": [2, 0.5, 0.5]}


def write(path: Path, content: dict[str, Any], shapes: tuple[tuple[int, ...], ...]) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    for k, shape in enumerate(shapes):
        group.create_array(f"s{k}", shape=shape, chunks=shape, dtype="uint8")
    group.attrs["ome"] = {"version": "0.6", "multiscales": [content]}
    return path


def test_an_image_has_the_sizes_and_units_of_its_intrinsic_system(tmp_path: Path) -> None:
    coarse = {
        "type": "sequence",
        "transformations": [
            {"type": "scale", "scale": [2, 1, 1]},
            {"type": "translation", "translation": [0, 0.25, 0.25]},
        ],
    }
    turned = {
        "type": "rotation",
        "rotation": [[1, 0, 0], [0, 0, 1], [0, 1, 0]],
        "input": {"name": "intrinsic"},
        "output": {"name": "world"},
    }
    content = multiscale(SCALE, coarse, outer=[turned])
    image = open_multiscale(write(tmp_path / "i.zarr", content, ((4, 8, 8), (4, 4, 4))))
    assert image.version == "0.6"
    assert [level.scale for level in image.levels] == [(2, 0.5, 0.5), (2, 1, 1)]
    assert image.levels[1].translation == (0, 0.25, 0.25)
    assert [image.unit(axis) for axis in "zyx"] == ["micrometer"] * 3
    (note,) = image.notes
    assert "'intrinsic', to which its levels map, and not those of 'world' (rotation)" in note
    assert info(tmp_path / "i.zarr")["ome_version"] == "0.6"


@pytest.mark.parametrize("dims", ["yx", "czyx", "tzyx"])
def test_what_ngff_zarr_writes_is_read_with_its_axes_sizes_and_places(
    tmp_path: Path, dims: str
) -> None:
    scale = {axis: 0.25 * (k + 1) for k, axis in enumerate(dims)} | {"c": 1.0}
    place = {axis: 3.0 + k for k, axis in enumerate(dims)} | {"c": 0.0}
    units = {axis: "second" if axis == "t" else "nanometer" for axis in dims if axis != "c"}
    voxels = np.arange(np.prod([8] * len(dims)), dtype=np.uint16).reshape([8] * len(dims))
    image = ngff_zarr.to_ngff_image(
        voxels, dims=list(dims), scale={a: scale[a] for a in dims},
        translation={a: place[a] for a in dims}, axes_units=units,
    )  # fmt: skip
    written = ngff_zarr.Multiscales(
        [image], ngff_zarr.to_multiscales(image, scale_factors=[]).metadata
    )
    # It writes through dask, and what it writes to cannot travel to workers of another test.
    with dask.config.set(scheduler="synchronous"):
        ngff_zarr.to_ngff_zarr(str(tmp_path / "i.zarr"), written, version="0.6")
    read = open_multiscale(tmp_path / "i.zarr")
    assert read.version == "0.6"
    assert "".join(axis.name for axis in read.axes) == dims
    assert [axis.unit for axis in read.axes] == [units.get(axis) for axis in dims]
    assert read.levels[0].scale == tuple(scale[axis] for axis in dims)
    assert read.levels[0].translation == tuple(place[axis] for axis in dims)


ROTATION = {"type": "rotation", "rotation": [[1, 0, 0], [0, 0, 1], [0, 1, 0]]}
MOVE = {"type": "translation", "translation": [1, 1, 1]}


def changed(**changes: Any) -> dict[str, Any]:
    """An image with one level, whose transformation has other values."""
    content = multiscale(SCALE)
    content["datasets"][0]["coordinateTransformations"][0] |= changes
    return content


def of_two_systems() -> dict[str, Any]:
    content = multiscale(SCALE, SCALE)
    content["datasets"][1]["coordinateTransformations"][0]["output"] = {"name": "world"}
    return content


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (multiscale(ROTATION), "has type 'rotation'; from a level .* resample the image"),
        (multiscale({"type": "affine"}), "has type 'affine'"),
        (multiscale({"type": "mapAxis", "mapAxis": [1, 0, 2]}), "has type 'mapAxis'"),
        (multiscale({"type": "sequence", "transformations": [SCALE, ROTATION]}), "'rotation'"),
        (multiscale({"type": "sequence", "transformations": []}), "is empty; write identity"),
        (multiscale(MOVE), "states no scale; write identity or a scale"),
        (multiscale({"type": "scale", "path": "0"}), "scale is None, not a JSON array"),
        (changed(output={"name": "stage"}), "maps to one of the .*: 'world', 'intrinsic'"),
        (changed(output={"name": "world", "path": "labels/a"}), "maps to one of"),
        (changed(input={"name": "world"}), "begins at its array: write the path"),
        (of_two_systems(), "map to the coordinate systems 'intrinsic', 'world'; all levels"),
        (multiscale(SCALE) | {"coordinateSystems": None}, "is missing; OME-Zarr 0.6 needs it"),
        (multiscale(SCALE) | {"coordinateSystems": [{"axes": AXES}]}, "give it a name"),
        (
            multiscale(SCALE) | {"coordinateSystems": [{"name": "a", "axes": AXES}] * 2},
            "'a' occurs twice",
        ),
        (multiscale(SCALE, outer=[{"type": "scale"}]), "name a coordinate system in both"),
        (multiscale() | {"datasets": []}, "datasets is empty"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    tmp_path: Path, content: dict[str, Any], line: str
) -> None:
    with pytest.raises(ImageError, match=line):
        open_multiscale(write(tmp_path / "i.zarr", content, ((4, 8, 8), (4, 4, 4))))


def test_several_transformations_of_a_level_are_refused(tmp_path: Path) -> None:
    content = multiscale(SCALE)
    content["datasets"][0]["coordinateTransformations"] *= 2
    with pytest.raises(ImageError, match=r"has 2 transformations; .* put several into a sequence"):
        open_multiscale(write(tmp_path / "i.zarr", content, ((4, 8, 8),)))


def test_coordinate_systems_in_an_earlier_version_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "i.zarr", multiscale(SCALE), ((4, 8, 8),))
    ome = zarr.open_group(str(path)).attrs["ome"]
    zarr.open_group(str(path)).attrs["ome"] = ome | {"version": "0.5"}
    with pytest.raises(ImageError, match=r"which is OME-Zarr 0.6, but its version is 0.5"):
        open_multiscale(path)
