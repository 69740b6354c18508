"""Laws of written outputs: each level equals the whole-array reference, and readers agree."""

from __future__ import annotations

import errno
import hashlib
import pickle
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import ngff_zarr
import numpy as np
import ome_zarr_models
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import v04, v05
from zarr.storage import LocalStore

from bigunet.errors import GeometryError, OutputError
from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.layout import plan_pyramid
from bigunet.io.output.output_image import OutputClass, OutputImage
from bigunet.io.output.publish import is_complete, write_discovery_metadata
from bigunet.io.output.pyramid import downsample_mean, downsample_mode
from bigunet.io.output.writer import OutputWriter
from bigunet.io.output.writing import sweep_partial_files

AXES = {
    "t": Axis("t", "time", "second"),
    "c": Axis("c", "channel", None),
    "z": Axis("z", "space", "micrometer"),
    "y": Axis("y", "space", "micrometer"),
    "x": Axis("x", "space", "micrometer"),
}
EXTENTS = {"t": 2, "z": 11, "y": 37, "x": 26}
BLOCKS = {"t": 1, "z": 4, "y": 16, "x": 8}
SCALES = {"t": 1.0, "z": 0.9, "y": 0.3, "x": 0.25}
TRANSLATIONS = {"t": 0.0, "z": -3.0, "y": 10.1, "x": 0.7}
CLASSES = (
    OutputClass("background", (0, 0, 0, 0)),
    OutputClass("cell", (255, 128, 0, 255)),
    OutputClass("nucleus", (0, 64, 255, 200)),
)
LABEL_AXES = ["yx", "zyx", "tyx", "tzyx", "xy"]
IMAGE_AXES = ["cyx", "tczyx"]
VERSIONS = ["0.4", "0.5"]
MODELS: dict[str, Any] = {"0.4": v04, "0.5": v05}


def output_image(store: Path | str, axes: str, version: str = "0.5", **changes: Any) -> OutputImage:
    """An output with levels in two groups: probabilities where there is a channel axis."""
    names = [name for name in "tzyx" if name in axes]
    layout = plan_pyramid(
        tuple(EXTENTS[name] for name in names),
        tuple(BLOCKS[name] for name in names),
        downsampled=tuple(name != "t" for name in names),
        chunk_limit=tuple(4 for _ in names),
        smallest=6,
    )
    with_channels = "c" in axes
    output = OutputImage(
        store=str(store),
        group="probabilities" if with_channels else "labels/classes",
        kind="image" if with_channels else "label",
        dtype="uint8",
        axes=tuple(AXES[name] for name in axes),
        layout=layout,
        num_channels=len(CLASSES) if with_channels else 1,
        scale=tuple(SCALES[name] for name in names),
        translation=tuple(TRANSLATIONS[name] for name in names),
        version=version,
        classes=CLASSES,
    )
    return replace(output, **changes)


def random_values(output: OutputImage, seed: int = 0) -> np.ndarray:
    """Whole level 0, canonical: few labels in flat patches, or scores."""
    top = len(CLASSES) if output.kind == "label" else 256
    shape = (output.num_channels,) * output.has_channels + output.layout.shape
    values = np.random.default_rng(seed).integers(0, top, shape)
    return (values * (values[..., :1] > 0)).astype(output.dtype)


def blocks(output: OutputImage, group: int) -> Iterator[Box]:
    layout = output.layout
    whole = Box.of_shape(layout.levels[layout.groups[group][0]].shape)
    shape = layout.block_shape(group)
    for index in np.ndindex(*layout.grid_shape(group)):
        start = tuple(i * s for i, s in zip(index, shape))
        yield Box(start, tuple(a + s for a, s in zip(start, shape))).intersection(whole)


def write_all(output: OutputImage, values: np.ndarray) -> None:
    create_arrays(output)
    writer = OutputWriter(output)
    whole = Box.of_shape(output.layout.shape)
    for block in blocks(output, 0):
        writer.write_block(0, block, values[(..., *block.within(whole))])
    for group in range(1, len(output.layout.groups)):
        for block in blocks(output, group):
            writer.downsample_block(group, block)


def reference_levels(output: OutputImage, values: np.ndarray) -> list[np.ndarray]:
    """All levels of the whole array, in storage order."""
    downsample = downsample_mode if output.kind == "label" else downsample_mean
    levels = [values]
    for level in range(1, len(output.layout.levels)):
        step = (1,) * output.has_channels + output.layout.step(level)
        levels.append(downsample(levels[-1], step))
    canonical = "c" * output.has_channels + "".join(output.canonical_names)
    stored = [canonical.index(axis.name) for axis in output.axes]
    return [level.transpose(stored) for level in levels]


def stored_levels(output: OutputImage) -> list[np.ndarray]:
    group = zarr.open_group(output.store, path=output.group, mode="r")
    return [np.asarray(group[str(k)][...]) for k in range(len(output.layout.levels))]


def fingerprints(store: Path | str) -> dict[str, str]:
    files = [path for path in Path(store).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def assert_levels_equal(output: OutputImage, values: np.ndarray) -> None:
    for found, expected in zip(
        stored_levels(output), reference_levels(output, values), strict=True
    ):
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("axes", [*LABEL_AXES, "xzy", *IMAGE_AXES])
def test_each_level_equals_downsampling_the_whole_array(
    tmp_path: Path, axes: str, version: str
) -> None:
    output = output_image(tmp_path / "out.zarr", axes, version)
    values = random_values(output)
    write_all(output, values)
    assert len(output.layout.groups) > 1
    assert_levels_equal(output, values)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    block_shape=st.tuples(*[st.sampled_from([4, 6, 8, 16, 32])] * 2),
    chunk=st.sampled_from([2, 4, 8]),
    downsampled=st.sampled_from([(True, True), (False, True)]),
    axes=st.sampled_from(["yx", "xy", "cyx"]),
)
def test_levels_do_not_depend_on_the_block_shape(
    shape: tuple[int, int],
    block_shape: tuple[int, int],
    chunk: int,
    downsampled: tuple[bool, bool],
    axes: str,
) -> None:
    layout = plan_pyramid(
        shape, block_shape, downsampled=downsampled, chunk_limit=(chunk, chunk), smallest=3
    )
    with tempfile.TemporaryDirectory() as folder:
        output = output_image(f"{folder}/out.zarr", axes, layout=layout)
        values = random_values(output)
        write_all(output, values)
        assert_levels_equal(output, values)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("axes", ["zyx", "cyx"])
def test_writing_every_block_twice_leaves_the_same_bytes(
    tmp_path: Path, axes: str, version: str
) -> None:
    output = output_image(tmp_path / "out.zarr", axes, version)
    values = random_values(output)
    write_all(output, values)
    once = fingerprints(output.store)
    write_all(output, values)
    assert fingerprints(output.store) == once


@pytest.mark.parametrize("version", VERSIONS)
def test_no_stored_voxel_is_read_when_a_block_is_written(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = output_image(tmp_path / "out.zarr", "yx", version)
    values = random_values(output)
    write_all(output, values)
    keys: list[str] = []
    get = LocalStore.get

    async def counted(self: LocalStore, key: str, *args: Any, **kwargs: Any) -> Any:
        keys.append(key.rpartition("/")[2])
        return await get(self, key, *args, **kwargs)

    monkeypatch.setattr(LocalStore, "get", counted)
    writer = OutputWriter(output)
    whole = Box.of_shape(output.layout.shape)
    for block in blocks(output, 0):
        writer.write_block(0, block, values[block.within(whole)])
    assert set(keys) <= {"zarr.json", ".zarray", ".zattrs"}


def test_a_torn_shard_is_replaced(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    write_all(output, values)
    for shard in (tmp_path / "out.zarr/labels/classes").glob("*/c/0/0"):
        shard.write_bytes(shard.read_bytes()[:-9])
    write_all(output, values)
    assert_levels_equal(output, values)


def test_a_block_overwritten_with_background_leaves_background(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    write_all(output, random_values(output))
    nothing = np.zeros(output.layout.shape, np.uint8)
    write_all(output, nothing)
    assert_levels_equal(output, nothing)
    assert not list((tmp_path / "out.zarr").rglob("c/*/*"))


def test_one_writer_serves_threads_and_survives_pickling(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    create_arrays(output)
    writer = OutputWriter(output)
    whole = Box.of_shape(output.layout.shape)
    first, *others = blocks(output, 0)
    writer.write_block(0, first, values[first.within(whole)])
    copied = pickle.loads(pickle.dumps(writer))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda b: copied.write_block(0, b, values[b.within(whole)]), others))
    for group in range(1, len(output.layout.groups)):
        for block in blocks(output, group):
            copied.downsample_block(group, block)
    assert_levels_equal(output, values)


def expected_transforms(output: OutputImage, level: int) -> tuple[list[float], list[float]]:
    """Scale and translation in storage order, from the definition of a voxel's centre."""
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
        for level, (found, whole) in enumerate(zip(node.data, expected, strict=True)):
            np.testing.assert_array_equal(found.compute(), whole, strict=True)
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
def test_labels_inside_their_image_leave_its_root_alone(tmp_path: Path, version: str) -> None:
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


@pytest.mark.parametrize("version", VERSIONS)
def test_arrays_are_stored_as_the_version_wants(tmp_path: Path, version: str) -> None:
    output = output_image(tmp_path / "out.zarr", "cyx", version)
    write_all(output, random_values(output))
    array = zarr.open_array(output.store, path="probabilities/0", mode="r")
    chunk_file = "c/1/1/2" if version == "0.5" else "1/1/2"
    assert (tmp_path / "out.zarr/probabilities/0" / chunk_file).exists()
    assert array.chunks == (1, 4, 4)
    assert array.shards == ((1, 16, 8) if version == "0.5" else None)
    assert array.fill_value == 0
    if version == "0.5":
        assert array.metadata.dimension_names == ("c", "y", "x")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box((0, 4), (16, 12)), "cuts a shard"),
        (Box((0, 0), (16, 4)), "cuts a shard"),
        (Box((32, 24), (48, 32)), "does not lie in level 0"),  # not clipped at the end
        (Box((0, 0), (0, 8)), "does not lie in level 0"),  # empty
        (Box((0,), (16,)), "does not lie in level 0"),
    ],
)
def test_a_block_that_is_not_whole_shards_is_refused(
    tmp_path: Path, box: Box, message: str
) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    create_arrays(output)
    with pytest.raises(GeometryError, match=message):
        OutputWriter(output).write_block(0, box, np.zeros(box.shape, np.uint8))


def test_values_of_another_shape_or_dtype_are_refused(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    create_arrays(output)
    writer, box = OutputWriter(output), Box((0, 0), (16, 8))
    with pytest.raises(GeometryError, match="do not fill"):
        writer.write_block(0, box, np.zeros((8, 16), np.uint8))
    with pytest.raises(OutputError, match="convert them first"):
        writer.write_block(0, box, np.zeros((16, 8), np.int64))
    with pytest.raises(GeometryError, match="no level before it"):
        writer.downsample_block(0, box)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free space there"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "change its permissions"),
        (errno.EIO, "see that the place exists"),
    ],
)
def test_a_failure_to_write_says_where_and_what_to_do(
    tmp_path: Path, code: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    create_arrays(output)

    async def failing(self: LocalStore, key: str, value: Any) -> None:
        raise OSError(code, "no luck")

    monkeypatch.setattr(LocalStore, "set", failing)
    with pytest.raises(OutputError, match=f"labels/classes/0: no luck; .*{advice}") as caught:
        OutputWriter(output).write_block(0, Box((0, 0), (16, 8)), np.ones((16, 8), np.uint8))
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(OutputError, match=advice):
        write_discovery_metadata([output], provenance={})


def test_arrays_that_are_there_are_kept_if_they_are_the_same(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    write_all(output, values)
    create_arrays(output)
    assert_levels_equal(output, values)
    with pytest.raises(OutputError, match="exists and differs"):
        create_arrays(replace(output, dtype="uint16"))
    with pytest.raises(OutputError, match=r"is not OME-Zarr 0\.4"):
        create_arrays(replace(output, version="0.4"))


def test_an_output_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.zarr").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*out\.zarr"):
        create_arrays(output_image(tmp_path / "out.zarr", "yx"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": (AXES["y"], AXES["y"])}, "at most once"),
        ({"axes": (AXES["y"], Axis("q", "space", None))}, "use each of t, z, y, x"),
        ({"scale": (1.0,)}, "one value per axis"),
        ({"num_channels": 2}, "want one channel axis"),
        ({"dtype": "float32"}, "integer dtype"),
        ({"group": "classes"}, "name it 'labels/NAME'"),
        ({"kind": "image", "group": "scores"}, "name every channel or none"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        replace(output_image("out.zarr", "yx"), **changes)


def test_outputs_of_two_stores_are_not_published_together() -> None:
    outputs = [output_image("a.zarr", "yx"), output_image("b.zarr", "yx")]
    with pytest.raises(OutputError, match="one store and version"):
        write_discovery_metadata(outputs, provenance={})


def test_sweeping_removes_partial_files_and_nothing_else(tmp_path: Path) -> None:
    output = output_image(tmp_path / "out.zarr", "yx")
    values = random_values(output)
    write_all(output, values)
    before = fingerprints(output.store)
    folder = tmp_path / "out.zarr/labels/classes/0/c/0"
    for name in (f"0.{'a1' * 16}.partial", f"zarr.{'0f' * 16}.partial"):
        (folder / name).write_bytes(b"half")
    (tmp_path / "out.zarr/mine.partial").write_bytes(b"kept")
    assert sweep_partial_files(output.store) == 2
    assert sweep_partial_files(output.store) == 0
    assert set(fingerprints(output.store)) == {*before, "mine.partial"}
