"""Laws of the slice axis: the result is that of the image with its axes in another order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.classes_as_image import classes_model, write_classes
from support.sliced import MOVED, SCALE, Turn, stored_arrays, write_levels
from support.stored import contents

import bigunet
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.output.pyramid import downsample_mode
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.place import Place
from bigunet.segmentation.plan.fit import check_fit
from bigunet.segmentation.plan.normalisation import fix_normalisation
from bigunet.segmentation.run.outputs import describe_outputs
from bigunet.segmentation.run.stages import StageBuilder

CLASSES = classes_model(2)
NETWORK = {"precision": "fp32", "backend": "torch", "outputs": ("classes", "probabilities")}
OBJECTS = {
    "model": CLASSES, "backend": "torch", "object_class": "cell", "border_class": "border",
    "border_width": 2, "outputs": ("classes", "instances", "probabilities"),
}  # fmt: skip
SIZES = {"t": 2, "c": 2, "z": 6, "y": 7, "x": 8}


class Segment:
    """Segments images in one folder, each into an output of its own."""

    def __init__(self, folder: Path, model: Path, client: Any) -> None:
        self.folder, self.model, self.client, self.count = folder, model, client, 0

    def new(self, name: str) -> Path:
        self.count += 1
        return self.folder / f"{name}{self.count}.zarr"

    def __call__(self, image: Path, output: Path | None = None, **options: Any) -> Path:
        output = output or self.new("out")
        given = {"model": self.model, "client": self.client} | options
        bigunet.segment(image, output, **given)
        return output

    def both(
        self, voxels: np.ndarray, turn: Turn, *, alike: dict[str, Any], **options: Any
    ) -> tuple[Path, Path]:
        """Outputs of the image across the slice axis, and of the turned image across z."""
        image = write_levels(self.new("in"), [voxels], turn.axes)
        turned = write_levels(self.new("turned"), [turn.there(voxels)], turn.axes, turn)
        across_z = {key: value for key, value in options.items() if key not in alike}
        return (
            self(image, slice_axis=turn.slice_axis, **options),
            self(turned, **across_z, **alike),
        )


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, client: Any) -> Segment:
    return Segment(tmp_path_factory.mktemp("sliced"), tiny_model, client)


def noise(shape: tuple[int, ...], top: int = 256) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, top, shape).astype(np.uint8)


def blobs(shape: tuple[int, ...]) -> np.ndarray:
    """Classes 0 to 2, of which more than half are background."""
    return np.random.default_rng(3).choice(3, shape, p=[0.55, 0.3, 0.15]).astype(np.uint8)


def assert_turned(sliced: Path, turned: Path, turn: Turn) -> None:
    """All arrays are equal after the axes are turned back."""
    ours, theirs = stored_arrays(sliced), stored_arrays(turned)
    assert list(ours) == list(theirs)
    for path, voxels in ours.items():
        assert voxels.dtype == theirs[path].dtype
        assert np.array_equal(voxels, turn.back(theirs[path])), path
        assert voxels.size == 1 or voxels.any(), path


@settings(max_examples=5)
@given(data=st.data())
def test_sliced_equals_turned_for_any_axes_blocks_and_region(
    segment: Segment, data: st.DataObject
) -> None:
    axes = data.draw(st.sampled_from(["zyx", "tzyx", "czyx"]), "axes")
    turn = Turn(axes, data.draw(st.sampled_from("yx"), "slice axis"))
    block = tuple(data.draw(st.integers(3, 12), f"block {axis}") for axis in range(len(axes)))
    blocks: dict[str, Any] = {"block_shape": block}
    roi = {
        axis: (data.draw(st.integers(0, SIZES[axis] // 2)), SIZES[axis] - 1)
        for axis in data.draw(st.sets(st.sampled_from("zyx")), "axes of the region")
    }
    others = [name for name in "zyx" if name != turn.slice_axis]
    place = dict(zip([turn.slice_axis, *others], "zyx"))
    if "c" in axes:
        blocks = {"block_shape": block[1:], "channels": (1,)}
    sliced, turned = segment.both(
        noise(tuple(SIZES[name] for name in axes)), turn, roi=roi, **blocks, **NETWORK,
        alike={"roi": {place[axis]: ends for axis, ends in roi.items()}},
    )  # fmt: skip
    assert_turned(sliced, turned, turn)


@pytest.mark.parametrize(("axes", "slice_axis"), [("zyx", "y"), ("tzyx", "x")])
def test_objects_and_their_table_are_those_of_the_turned_image(
    segment: Segment, axes: str, slice_axis: str
) -> None:
    turn = Turn(axes, slice_axis)
    classes = blobs(tuple(SIZES[name] for name in axes))
    others = [name for name in "zyx" if name != slice_axis]
    roi = {"z": (1, 6), "x": (1, 8)}
    place = dict(zip([slice_axis, *others], "zyx"))
    sliced, turned = segment.both(
        classes, turn, block_shape=(2, 4, 4, 9)[-len(axes) :], roi=roi, smallest="0.3 um2",
        **OBJECTS,
        alike={"roi": {place[axis]: ends for axis, ends in roi.items()}},
    )  # fmt: skip
    assert_turned(sliced, turned, turn)
    ours, theirs = table_of(sliced), table_of(turned)
    theirs = {slice_axis if name == "z" else name: column for name, column in theirs.items()}
    assert ours == theirs
    assert len(ours["label"]) > 10
    boxes = {name: table_of(store, "instances_ROI_table") for name, store in
             (("ours", sliced), ("theirs", turned))}  # fmt: skip
    for axis in "xyz":
        for kind in ("{}_micrometer", "len_{}_micrometer"):
            mine = boxes["ours"][kind.format(axis)]
            assert mine == boxes["theirs"][kind.format(place[axis])]


def table_of(output: Path, name: str = "instances") -> dict[str, list[Any]]:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    return dict(pyarrow.read_table(output / "tables" / name / "table.parquet").to_pydict())


def test_ids_go_by_planes_across_the_slice_axis_for_any_blocks(segment: Segment) -> None:
    classes = blobs((7, 12, 15))
    expected = bigunet.label_objects(
        classes.transpose(2, 0, 1), frames=1, border=2, border_width=2
    ).transpose(1, 2, 0)
    for block in ((8, 3, 7), (5, 7, 12)):
        image = write_classes(segment.new("in"), classes)
        output = segment(image, slice_axis="x", block_shape=block, **OBJECTS)
        ids = np.asarray(zarr.open_array(str(output / "labels/instances/0"), mode="r")[...])
        assert np.array_equal(ids, expected)


def test_the_order_of_storage_does_not_matter(segment: Segment) -> None:
    voxels = noise((9, 14, 17))
    usual = segment(write_classes(segment.new("in"), voxels), slice_axis="y", **NETWORK)
    other = write_classes(segment.new("in"), voxels.transpose(2, 0, 1), "xzy")
    stored = stored_arrays(segment(other, slice_axis="y", **NETWORK))
    whole = stored_arrays(usual)
    assert np.array_equal(stored["labels/classes/0"].transpose(1, 2, 0), whole["labels/classes/0"])


@pytest.mark.parametrize("slice_axis", ["y", "x"])
def test_an_output_lies_over_its_image_at_each_level(segment: Segment, slice_axis: str) -> None:
    shape = {"z": 514, "y": 7, "x": 6}
    turn = Turn("zyx", slice_axis)
    classes = blobs(tuple(shape.values()))
    sliced, turned = segment.both(classes, turn, alike={}, block_shape=(8, 512, 8), **OBJECTS)
    assert_turned(sliced, turned, turn)
    output = open_multiscale(sliced / "labels/classes")
    assert "".join(axis.name for axis in output.axes) == "zyx"
    assert [level.shape[0] for level in output.levels] == [514, 257]
    for level in output.levels:
        factors = [1 if name == slice_axis else -(-shape[name] // n)
                   for name, n in zip("zyx", level.shape)]  # fmt: skip
        assert level.scale == tuple(SCALE[a] * f for a, f in zip("zyx", factors))
        centre = [MOVED[a] + SCALE[a] * (f - 1) / 2 for a, f in zip("zyx", factors)]
        assert level.translation == tuple(centre)


def test_labels_inside_an_image_have_its_three_levels(segment: Segment) -> None:
    levels = [noise((5, 24, 17)), noise((5, 12, 9)), noise((3, 6, 5))]
    image = write_levels(segment.new("in"), levels, "zyx")
    bigunet.segment(
        image, model=segment.model, client=segment.client, slice_axis="x", block_shape=(16, 8, 16)
    )
    alone = segment(image, slice_axis="x", block_shape=(16, 8, 16), precision="fp32")
    label = open_multiscale(image / "labels/classes")
    ours = open_multiscale(image)
    assert [(k.shape, k.scale, k.translation) for k in label.levels] == [
        (k.shape, k.scale, k.translation) for k in ours.levels
    ]
    expected = stored_arrays(alone)["labels/classes/0"]
    for number, step in enumerate([(1, 1, 1), (1, 2, 2), (2, 2, 2)]):
        # Ties go to the first voxel in the order of the planes that the network sees.
        run_order = downsample_mode(
            expected.transpose(2, 0, 1), (step[2], step[0], step[1])
        )  # fmt: skip
        expected = run_order.transpose(1, 2, 0)
        stored = stored_arrays(image)[f"labels/classes/{number}"]
        assert np.array_equal(stored, expected)
    assert bigunet.verify(image, model=segment.model).passed


def test_a_level_is_segmented_like_an_image_of_its_own(segment: Segment) -> None:
    levels = [noise((9, 40, 34)), noise((9, 20, 17))]
    both = write_levels(segment.new("in"), levels, "zyx")
    alone = write_classes(segment.new("in"), levels[1])
    of_level = segment(both, level=1, slice_axis="x", roi={"y": (3, 18)}, **NETWORK)
    expected = segment(alone, slice_axis="x", roi={"y": (3, 18)}, **NETWORK)
    ours, theirs = stored_arrays(of_level), stored_arrays(expected)
    assert all(np.array_equal(ours[path], theirs[path]) for path in ours)


def test_level_auto_compares_the_voxels_of_the_planes_that_the_network_sees(
    segment: Segment, write_model: Any, tmp_path: Path
) -> None:
    model = bigunet.load_model(segment.model)
    shapes = [(6, 32, 32), (6, 16, 16), (3, 8, 8)]
    image = write_levels(segment.new("in"), [noise(shape) for shape in shapes], "zyx")
    sized = {(2.0, 0.25): ("y", 0), (1.0, 0.5): ("z", 1), (2.0, 1.0): ("x", 1)}
    for size, (slice_axis, level) in sized.items():
        description = bigunet.ModelDescription(
            **{**_fields(model.description), "voxel_size_um": size}
        )
        given = bigunet.Model(
            model.module, description, model.digest, receptive_field=model.receptive_field
        )
        planned = bigunet.plan(image, model=given, level="auto", slice_axis=slice_axis)
        assert planned.level == level
        assert planned.voxel_size_um == size


def _fields(description: Any) -> dict[str, Any]:
    return {name: getattr(description, name) for name in description.__dataclass_fields__}


def test_masks_and_chunks_that_are_not_stored_lie_where_they_should(segment: Segment) -> None:
    turn = Turn("zyx", "x")
    voxels = noise((12, 20, 28), 255) + 1
    voxels[:, :16, 16:] = 0
    volume = np.random.default_rng(1).integers(0, 2, (4, 5, 7)).astype(np.uint8)
    for part, axes in ((volume, "zyx"), (volume[0], "yx")):
        # The turned image needs a mask of three axes.
        filled = part if axes == "zyx" else part[np.newaxis]
        turned_mask = write_classes(segment.new("mask"), turn.there(filled))
        sliced, turned = segment.both(
            voxels, turn, mask=str(write_classes(segment.new("mask"), part, axes)),
            skip_empty=True, block_shape=(16, 16, 16), **NETWORK,
            alike={"mask": str(turned_mask)},
        )  # fmt: skip
        assert_turned(sliced, turned, turn)


def test_the_grey_range_is_that_of_the_turned_image(segment: Segment) -> None:
    turn = Turn("zyx", "y")
    percentiles = (1, 99.8)
    voxels = (noise((20, 33, 40)) // 3).astype(np.uint8)
    # In the planes across y, but not in those across z, these lines are specks, which do not count.
    voxels[2:18:5, :, 7] = 255
    sliced, turned = segment.both(voxels, turn, alike={}, percentiles=percentiles, **NETWORK)
    assert_turned(sliced, turned, turn)
    ours, theirs = (made(output)["normalisation"] for output in (sliced, turned))
    assert ours == theirs
    image = write_levels(segment.new("in"), [voxels], "zyx")
    other = segment(
        image, slice_axis="y", percentiles=percentiles, grey_range_of=str(image), **NETWORK
    )
    across_z = segment(image, percentiles=percentiles, **NETWORK)
    assert made(other)["normalisation"]["values_high"] == ours["values_high"]
    assert made(across_z)["normalisation"]["values_high"] == [255] != ours["values_high"]


def made(output: Path) -> dict[str, Any]:
    """How an output was made."""
    provenance = json.loads((output / "zarr.json").read_text())["attributes"]["bigunet"]
    return dict(provenance)


def test_a_resumed_run_computes_a_lost_block_to_the_same_bytes(segment: Segment) -> None:
    image = write_levels(segment.new("in"), [blobs((4, 10, 520))], "zyx")
    options: dict[str, Any] = {"slice_axis": "y", "block_shape": (5, 4, 512), **OBJECTS}
    output = segment(image, **options)
    before = contents(output)
    for name in ("labels/classes/0", "labels/instances/1", "probabilities/0"):
        files = [path for path in sorted((output / name / "c").rglob("*")) if path.is_file()]
        files[len(files) // 2].unlink()
    segment(image, output, existing="resume", **options)
    after = contents(output)
    assert after.keys() == before.keys()
    assert [path for path in before if before[path] != after[path]] == []


@pytest.mark.slow
def test_parts_of_a_run_write_the_same_bytes(segment: Segment) -> None:
    image = write_levels(segment.new("in"), [blobs((10, 12, 18))], "zyx")
    options: dict[str, Any] = {"slice_axis": "x", "block_shape": (16, 7, 8), **OBJECTS}
    whole, parts = segment(image, **options), segment.new("out")
    for part in ("2/2", "1/2"):
        segment(image, parts, part=part, **options)
    assert contents(whole) == contents(parts)


def test_another_slice_axis_cannot_continue_a_run(segment: Segment) -> None:
    image = write_levels(segment.new("in"), [noise((8, 8, 8))], "zyx")
    output = segment(image, slice_axis="x", **NETWORK)
    with pytest.raises(bigunet.BigUNetError, match="slice_axis"):
        segment(image, output, slice_axis="y", existing="resume", **NETWORK)


@pytest.mark.parametrize("slice_axis", ["y", "x"])
def test_verify_passes_and_finds_a_wrong_voxel(segment: Segment, slice_axis: str) -> None:
    image = write_levels(segment.new("in"), [blobs((30, 3, 4))], "zyx")
    output = segment(image, slice_axis=slice_axis, block_shape=(2, 16, 2), **OBJECTS)
    assert bigunet.verify(image, output, model=CLASSES, windows=12).passed
    for name in ("classes", "instances"):
        broken = Path(shutil.copytree(output, segment.new("broken")))
        array = zarr.open_array(str(broken / f"labels/{name}/0"), mode="r+")
        array[17, 1, 2] = 2 if array[17, 1, 2] != 2 else 1
        assert not bigunet.verify(image, broken, model=CLASSES, windows=12).passed


def test_planned_numbers_have_the_slice_axis_first(segment: Segment) -> None:
    image = write_levels(segment.new("in"), [noise((6, 40, 50))], "zyx")
    planned = bigunet.plan(
        image, model=segment.model, slice_axis="y", roi={"x": (5, 45)}, block_shape=(4, 16)
    )
    numbers = planned.to_dict()
    assert numbers["axes"] == ["y", "z", "x"]
    assert numbers["shape"] == [40, 6, 40]
    assert numbers["block_shape"] == [1, 4, 16]
    assert numbers["blocks"] == 40 * 2 * 3


def test_the_map_of_blocks_names_the_axes_in_the_order_of_the_blocks(segment: Segment) -> None:
    image = write_levels(segment.new("in"), [noise((6, 20, 10))], "zyx")
    planned = bigunet.plan(image, model=segment.model, slice_axis="x", block_shape=(5, 6, 10))
    place = Place(str(segment.new("out")), "", "0.5")
    stages = StageBuilder(planned, describe_outputs(planned, place), ObjectFiles.of(place))
    stage = stages.segment(fix_normalisation(planned)[0], workers_per_host=1)
    assert stage.axes == ("x", "z", "y")
    assert stage.grid is not None
    assert stage.grid.shape == (2, 1, 2)


@pytest.mark.parametrize(("slice_axis", "warns"), [("z", False), ("y", True), ("x", True)])
def test_planes_of_long_voxels_bring_a_warning(
    segment: Segment, slice_axis: str, warns: bool
) -> None:
    # Voxels of 2 µm along z, 0.5 along y and 0.25 along x.
    image = write_levels(segment.new("in"), [noise((6, 20, 10))], "zyx")
    planned = bigunet.plan(image, model=segment.model, slice_axis=slice_axis)
    size = {"y": "2 × 0.25 µm", "x": "2 × 0.5 µm"}.get(slice_axis, "")
    lines = check_fit(planned, *fix_normalisation(planned)).warnings
    seen = [line for line in lines if f"planes across {slice_axis} are {size};" in line]
    assert bool(seen) == warns


def test_linked_objects_with_filled_holes_are_those_of_the_turned_image(segment: Segment) -> None:
    turn = Turn("zyx", "x")
    sliced, turned = segment.both(
        blobs((10, 9, 8)), turn, alike={}, block_shape=(4, 5, 9), link_planes=0.2, fill_holes="3",
        **OBJECTS,
    )  # fmt: skip
    assert_turned(sliced, turned, turn)


def test_objects_inside_an_image_are_those_of_an_output_of_its_own(segment: Segment) -> None:
    image = write_levels(segment.new("in"), [blobs((10, 9, 8))], "zyx")
    options: dict[str, Any] = {"slice_axis": "y", "block_shape": (4, 5, 9), **OBJECTS}
    options["outputs"] = ("classes", "instances")
    alone = stored_arrays(segment(image, **options))
    bigunet.segment(image, client=segment.client, **options)
    inside = stored_arrays(image)
    assert inside.keys() == alone.keys()
    assert all(np.array_equal(inside[path], alone[path]) for path in alone)
    assert bigunet.verify(image, model=CLASSES, windows=4).passed
