"""Laws of discovery: an image of any program gives one description or one ImageError."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import zarr

from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.multiscale import Axis, Multiscale
from bigunet.io.images.volume import VolumeReader

PLANE = [{"name": "y", "type": "space"}, {"name": "x", "type": "space", "unit": "micrometer"}]


def write_group(path: Path, attributes: dict[str, Any], *, zarr_format: int = 2) -> Path:
    """Write a group with these attributes and no members."""
    group = zarr.open_group(str(path), mode="a", zarr_format=zarr_format)
    group.attrs.put(attributes)
    return path


def write_image(path: Path, entry: dict[str, Any], *shapes: tuple[int, ...], **extra: Any) -> Path:
    """Write an image before 0.5, with its arrays at the paths of the datasets."""
    entry = {"datasets": [{"path": str(k)} for k in range(len(shapes))], **entry}
    write_group(path, {"multiscales": [entry], **extra})
    for dataset, shape in zip(entry["datasets"], shapes):
        write_array(path / str(dataset["path"]), shape)
    return path


def write_array(path: Path, shape: tuple[int, ...], dtype: str = "uint8", **storage: Any) -> Path:
    storage = {"zarr_format": 2, **storage}
    zarr.create_array(str(path), shape=shape, dtype=dtype, **storage)
    return path


def write_ome(path: Path, ome: dict[str, Any], *shapes: tuple[int, ...]) -> Path:
    """Write an image of version 0.5; the datasets are added to its entry."""
    entry = {"axes": PLANE, "datasets": [{"path": str(k)} for k in range(len(shapes))]}
    write_group(path, {"ome": {"multiscales": [entry], **ome}}, zarr_format=3)
    for k, shape in enumerate(shapes):
        write_array(path / str(k), shape, zarr_format=3)
    return path


def scaled(*transforms: tuple[str, list[float]]) -> list[dict[str, Any]]:
    return [{"type": kind, kind: values} for kind, values in transforms]


def names(image: Multiscale) -> str:
    return "".join(axis.name for axis in image.axes)


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_images_before_axes_are_tczyx(tmp_path: Path, version: str) -> None:
    path = write_image(
        tmp_path / "old.zarr", {"version": version}, (1, 2, 3, 8, 9), (1, 2, 3, 4, 4)
    )
    image = open_multiscale(path)
    assert (image.version, names(image), image.num_channels) == (version, "tczyx", 2)
    assert [level.scale for level in image.levels] == [(1,) * 5, (1, 1, 1, 2, 2)]
    assert image.levels[1].translation == (0,) * 5


def test_axes_that_are_plain_strings_are_read(tmp_path: Path) -> None:
    entry = {"version": "0.3", "axes": ["c", "y", "x"]}
    assert names(open_multiscale(write_image(tmp_path / "i", entry, (2, 8, 9)))) == "cyx"


def test_upper_case_axes_without_type_are_read(tmp_path: Path) -> None:
    entry = {"version": "0.4", "axes": [{"name": "Z", "unit": None}, {"name": "Y"}, {"name": "X"}]}
    image = open_multiscale(write_image(tmp_path / "i", entry, (3, 8, 9)))
    assert image.axes == (Axis("z", "space"), Axis("y", "space"), Axis("x", "space"))


def test_axes_in_another_order_are_canonical_in_the_volume_only(tmp_path: Path) -> None:
    entry = {"version": "0.4", "axes": PLANE[::-1]}
    image = open_multiscale(write_image(tmp_path / "i", entry, (8, 9)))
    assert (names(image), image.volume_shape(0)) == ("xy", (9, 8))
    assert (image.unit("x"), image.unit("y")) == ("micrometer", None)


@pytest.mark.parametrize("path", [0, "0", "s0", "scale0/image", "./a//b/"])
def test_datasets_may_have_any_path_below_the_group(tmp_path: Path, path: str | int) -> None:
    entry = {"version": "0.4", "axes": PLANE, "datasets": [{"path": path}]}
    image = open_multiscale(write_image(tmp_path / "i", entry, (8, 9)))
    assert VolumeReader(image).read(Box.of_shape((8, 9))).shape == (1, 8, 9)


def test_image_transformations_follow_those_of_the_dataset(tmp_path: Path) -> None:
    transforms = scaled(("translation", [2, 0]), ("scale", [2, 3]), ("translation", [-3, 1]))
    entry = {
        "version": "0.4",
        "axes": PLANE,
        "datasets": [{"path": "0", "coordinateTransformations": transforms}],
        "coordinateTransformations": scaled(("scale", [10, 100]), ("translation", [5, 7])),
    }
    level = open_multiscale(write_image(tmp_path / "i", entry, (8, 9))).levels[0]
    assert (level.scale, level.translation) == ((20, 300), (15, 107))


def test_a_level_without_scale_gets_it_from_the_ratio_of_shapes(
    tmp_path: Path,
) -> None:
    first = {"path": "0", "coordinateTransformations": scaled(("scale", [0.5, 0.25]))}
    entry = {"version": "0.4", "axes": PLANE, "datasets": [first, {"path": "1"}, {"path": "2"}]}
    path = write_image(tmp_path / "i", entry, (263, 300), (131, 100), (66, 33))
    scales = [level.scale for level in open_multiscale(path).levels]
    assert scales == [(0.5, 0.25), (1, 0.75), (2, 300 / 33 * 0.25)]


@pytest.mark.parametrize(
    ("stated", "version"),
    [("0.4", "0.4"), ("0.4-dev-spatialdata", "0.4"), (None, "0.4"), ("0.3", "0.3")],
)
def test_a_version_may_be_missing_before_0_5(
    tmp_path: Path, stated: str | None, version: str
) -> None:
    path = write_image(tmp_path / "i", {"version": stated, "axes": PLANE}, (8, 9), version="9.9")
    assert open_multiscale(path).version == version


def test_a_0_5_image_is_read(tmp_path: Path) -> None:
    omero = {"channels": [{"label": "DAPI"}]}
    ome = {"version": "0.5", "omero": omero, "image-label": {}}
    image = open_multiscale(write_ome(tmp_path / "cells.ome.zarr", ome, (8, 9), (4, 4)))
    assert (image.version, image.zarr_format, image.name) == ("0.5", 3, "cells")
    assert (image.channel_names, image.is_label) == (("DAPI",), True)
    assert image.url == str(tmp_path / "cells.ome.zarr")


@pytest.mark.parametrize(
    ("omero", "expected"),
    [
        ({"channels": [{"label": "A"}, {"label": "B"}]}, ("A", "B")),
        (
            {"channels": [{"label": 7}, {"label": "B"}, {"label": "C"}]},
            ("7", "B"),
        ),  # one too many
        ({"channels": [{"color": "FF0000"}]}, ("", "")),  # no label, and one entry too few
        ({"channels": [{"label": " "}, {"label": "1"}]}, ("", "1")),  # a number that is stated
        ({"channels": [{"label": True}, {"label": 0}]}, ("", "0")),
        ({"channels": "red"}, ("", "")),
        (None, ("", "")),
    ],
)
def test_channels_without_a_usable_label_have_no_name_and_are_shown_by_index(
    tmp_path: Path, omero: object, expected: tuple[str, ...]
) -> None:
    entry = {"version": "0.4", "axes": ["c", "y", "x"]}
    image = open_multiscale(write_image(tmp_path / "i", entry, (2, 8, 9), omero=omero))
    assert image.channel_names == expected
    assert image.shown_channels == tuple(name or str(k) for k, name in enumerate(expected))


def test_the_first_of_several_multiscales_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    write_array(tmp_path / "i" / "0", (8, 9))
    axes, datasets = ["y", "x"], [{"path": "0"}]
    entries = [{"name": n, "axes": axes, "datasets": datasets} for n in ("a", "b", None)]
    image = open_multiscale(write_group(tmp_path / "i", {"multiscales": entries}))
    assert image.name == "a"
    (note,) = image.notes
    assert note.endswith("has 3 multiscales: the first, 'a', is read, and not 'b', number 2")


def test_one_multiscale_with_levels_from_large_to_small_needs_no_note(tmp_path: Path) -> None:
    entry = {"version": "0.4", "axes": ["y", "x"]}
    assert open_multiscale(write_image(tmp_path / "i", entry, (8, 9), (4, 5))).notes == ()


@pytest.mark.parametrize(
    ("shape", "stated", "expected"),
    [
        ((8, 9), None, "yx"),
        ((5, 8, 9), None, "zyx"),
        ((1, 8, 9), None, "zyx"),
        ((3, 8, 9), ("c", "y", "x"), "cyx"),
        ((3, 8, 9), ("T", "X", "Y"), "txy"),
        ((8, 9, 3), ("height", "width", "channel"), "yxc"),
        ((5, 8, 9), (None, "", " "), "zyx"),  # no names
        ((2, 3, 8, 9), None, "czyx"),
        ((1, 2, 3, 8, 9), None, "tczyx"),
    ],
)
def test_a_bare_array_is_an_image_of_one_level(
    tmp_path: Path, shape: tuple[int, ...], stated: tuple[str, ...] | None, expected: str
) -> None:
    path = write_array(tmp_path / "a.zarr", shape, zarr_format=3, dimension_names=stated)
    image = open_multiscale(path)
    assert (names(image), image.version, image.name) == (expected, "", "a")
    assert (image.levels[0].path, image.levels[0].scale) == ("", (1,) * len(shape))


def test_a_level_inside_an_image_opens_as_a_bare_array(tmp_path: Path) -> None:
    path = write_image(tmp_path / "i", {"version": "0.4", "axes": PLANE}, (8, 9))
    assert open_multiscale(f"{path}/0/").volume_shape(0) == (8, 9)


def test_sharded_levels_have_the_shape_of_their_shards(tmp_path: Path) -> None:
    path = write_array(tmp_path / "a", (64, 64), zarr_format=3, chunks=(8, 8), shards=(32, 32))
    level = open_multiscale(path).levels[0]
    assert (level.chunks, level.shards) == ((8, 8), (32, 32))


def test_a_relative_path_is_kept_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_array(tmp_path / "a", (8, 9))
    monkeypatch.chdir(tmp_path)
    assert open_multiscale("a/").url == str(tmp_path / "a")


def test_a_url_is_read_through_its_file_system() -> None:
    url = f"memory://{uuid4()}/image.zarr"
    array = zarr.create_array(url, shape=(8, 9), dtype="uint8")
    array[...] = 5
    image = open_multiscale(url)
    assert image.url == url
    assert (VolumeReader(image).read(Box((-1, 0), (3, 4))) == 5).all()
