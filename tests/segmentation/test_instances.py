"""Laws of numbered objects: those of the whole image, whatever the blocks and interruptions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.classes_as_image import classes_model, comb, spiral, write_classes
from support.interrupted import interrupted
from support.stored import contents

import bigunet
from bigunet import SegmentOptions, SegmentReport
from bigunet.engine.ledger import Ledger
from bigunet.errors import OptionError
from bigunet.events import BlockDone
from bigunet.io.output.pyramid import downsample_mode
from bigunet.segmentation.instances.object_files import ObjectFiles

MODELS = {ndim: classes_model(ndim) for ndim in (2, 3)}
CONNECTIVITY = {1: "faces", 2: "edges", 3: "corners"}


class Run:
    """Segments classes that are written as an image."""

    def __init__(self, folder: Path, client: Any) -> None:
        self.folder, self.client, self.count = folder, client, 0

    def __call__(
        self, classes: np.ndarray, *, ndim: int = 2, **options: Any
    ) -> tuple[SegmentReport, np.ndarray, Path]:
        """Report, ids of level 0, and output."""
        self.count += 1
        source = write_classes(self.folder / f"in{self.count}.zarr", classes)
        output = self.folder / f"out{self.count}.zarr"
        report = bigunet.segment(
            source, output, model=MODELS[ndim], client=self.client, backend="torch",
            outputs=("classes", "instances"), object_class="cell",
            **options,
        )  # fmt: skip
        return report, ids_of(output), output


def ids_of(output: Path, level: int = 0) -> np.ndarray:
    return np.asarray(zarr.open_array(str(output / f"labels/instances/{level}"), mode="r")[:])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, client: Any) -> Run:
    return Run(tmp_path_factory.mktemp("instances"), client)


def some_classes(shape: tuple[int, ...], seed: int, free: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice(3, shape, p=[free, (1 - free) * 0.7, (1 - free) * 0.3]).astype(np.uint8)


@settings(max_examples=12)
@given(data=st.data())
def test_objects_are_those_of_the_whole_for_any_blocks(run: Run, data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from([2, 2, 3]), "ndim")
    side = 40 if ndim == 2 else 14
    shape = tuple(data.draw(st.integers(1, side), f"side {axis}") for axis in range(ndim))
    block = tuple(data.draw(st.integers(2, side), f"block {axis}") for axis in range(ndim))
    free = data.draw(st.sampled_from([0.1, 0.4, 0.6]), "free")
    classes = some_classes(shape, data.draw(st.integers(0, 99), "seed"), free)
    width = data.draw(st.integers(1, 3), "width")
    smallest = data.draw(st.sampled_from([0, 2, 5]), "smallest")
    rank = data.draw(st.integers(1, ndim), "connectivity")
    report, ids, _ = run(
        classes, ndim=ndim, block_shape=block, border_class="border", border_width=width,
        smallest=str(smallest), connectivity=CONNECTIVITY[rank],
    )  # fmt: skip
    expected = bigunet.label_objects(
        classes, border=2, border_width=width, smallest=smallest, connectivity=rank
    )
    assert ids.dtype == expected.dtype
    assert np.array_equal(ids, expected)
    assert report.objects is not None
    assert report.objects.num_objects == expected.max(initial=0)
    everything = bigunet.label_objects(classes, connectivity=rank)
    assert report.objects.num_small == everything.max(initial=0) - expected.max(initial=0)
    assert sum(report.objects.sizes) == report.objects.num_objects


@pytest.mark.parametrize(
    "classes",
    [spiral(61), comb((50, 41)), np.indices((30, 44)).sum(0) % 2, np.ones((45, 33), bool)],
    ids=["spiral", "comb", "checkerboard", "one object"],
)
def test_objects_that_wind_through_all_blocks_are_joined(run: Run, classes: np.ndarray) -> None:
    _, ids, _ = run(classes.astype(np.uint8), block_shape=(8, 8), border_class="none")
    assert np.array_equal(ids, bigunet.label_objects(classes))


@pytest.mark.parametrize(("connectivity", "number"), [("faces", 2), ("edges", 1)])
def test_objects_that_touch_at_the_corner_of_four_blocks(
    run: Run, connectivity: str, number: int
) -> None:
    classes = np.zeros((16, 16), np.uint8)
    classes[5:8, 5:8] = classes[8:11, 8:11] = 1
    _, ids, _ = run(
        classes, block_shape=(8, 8), border_class="none", connectivity=connectivity
    )  # fmt: skip
    assert ids.max() == number


def test_planes_and_time_points_are_frames_of_their_own(run: Run) -> None:
    classes = some_classes((3, 4, 20, 26), 1, 0.4)
    _, ids, _ = run(classes, ndim=2, block_shape=(2, 3, 8, 16), border_class="border")
    expected = bigunet.label_objects(classes, frames=2, border=2)
    assert np.array_equal(ids, expected)
    assert len(np.intersect1d(ids[0, 0], ids[0, 1])) == 1  # the background
    _, ids, _ = run(classes, ndim=3, block_shape=(2, 3, 8, 16), border_class="border")
    assert np.array_equal(ids, bigunet.label_objects(classes, frames=1, border=2))


def test_the_levels_are_those_of_labels(run: Run) -> None:
    classes = some_classes((1100, 700), 2, 0.6)
    report, ids, output = run(classes, block_shape=(256, 256), border_class="none")
    assert len(report.plan.layout.groups) > 1
    for level in range(1, len(report.plan.layout.levels)):
        ids = downsample_mode(ids, (2, 2))
        assert np.array_equal(ids_of(output, level), ids)


@pytest.fixture(scope="module")
def broad(run: Run) -> tuple[np.ndarray, Path, Callable[..., SegmentReport]]:
    """Classes, a finished output of theirs, and a function that segments them."""
    classes = some_classes((500, 400), 3, 0.5)
    options = SegmentOptions(
        block_shape=(128, 128), border_class="border", object_class="cell", backend="torch",
        smallest="3", outputs=("classes", "instances"),
    )  # fmt: skip
    _, _, output = run(classes, block_shape=(128, 128), border_class="border", smallest="3")
    source = run.folder / f"in{run.count}.zarr"

    def again(target: Path, **arguments: Any) -> SegmentReport:
        return bigunet.segment(
            source, target, model=MODELS[2], options=options, client=run.client, **arguments
        )

    return classes, output, again


@pytest.mark.slow
@settings(max_examples=6)
@given(ends=st.lists(st.integers(0, 40), min_size=1, max_size=3))
def test_a_run_that_is_interrupted_gives_the_same_bytes(
    run: Run, broad: tuple[Any, Path, Callable[..., SegmentReport]], ends: list[int]
) -> None:
    _, whole, segment = broad
    output = run.folder / "interrupted.zarr"
    interrupted(segment, output, ends)
    assert contents(output) == contents(whole)


@pytest.mark.slow
@settings(max_examples=8)
@given(data=st.data())
def test_files_that_are_lost_are_made_again(
    run: Run, broad: tuple[Any, Path, Callable[..., SegmentReport]], data: st.DataObject
) -> None:
    _, whole, segment = broad
    output = run.folder / "lost.zarr"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(whole, output)
    files = sorted(path for path in output.rglob("*") if path.parent.parent.name == "c"
                   or path.name in ("objects.json", ".."))  # fmt: skip
    gone = data.draw(st.sets(st.sampled_from(files), min_size=1, max_size=3), "gone")
    for path in gone:
        path.unlink()
    segment(output, existing="resume")
    assert contents(output) == contents(whole)


def test_files_that_are_lost_between_the_stages_are_made_again(
    run: Run, broad: tuple[Any, Path, Callable[..., SegmentReport]]
) -> None:
    _, whole, segment = broad
    output = run.folder / "between.zarr"
    seen: list[str] = []

    class Ended(Exception):
        pass

    def end_in_relabel(event: Any) -> None:
        seen.append(getattr(event, "stage", ""))
        if seen.count("relabel") > 3:
            raise Ended

    with pytest.raises(Ended):
        segment(output, on_event=end_in_relabel)
    files = ObjectFiles(output / "bigunet")
    own = files.fragments("label")
    shards = [path for path in (own.folder / "fragments/0/c").rglob("*") if path.is_file()]
    for path in (*shards[:2], own.blocks.path(5), own.ids):
        path.unlink()
    segment(output, existing="resume")
    assert contents(output) == contents(whole)
    assert not files.folder.exists()


def test_a_finished_output_says_what_its_objects_are(
    broad: tuple[np.ndarray, Path, Callable[..., SegmentReport]],
) -> None:
    _, whole, segment = broad
    report = segment(whole, existing="resume")
    assert report.already_finished
    assert report.objects is not None
    assert report.objects.num_objects == ids_of(whole).max()
    kept = json.loads((whole / "bigunet/report.json").read_text())["objects"]
    assert kept["num_objects"] == report.objects.num_objects
    sizes = np.bincount(ids_of(whole).ravel())[1:]
    assert kept["median_voxels"] == np.median(sizes)
    assert kept["sizes"][2] == np.count_nonzero((sizes >= 4) & (sizes < 8))


def test_options_about_objects_need_instances(run: Run, tmp_path: Path) -> None:
    source = write_classes(tmp_path / "in.zarr", np.ones((8, 8), np.uint8))
    with pytest.raises(OptionError, match="give --output instances"):
        bigunet.segment(source, tmp_path / "a", model=MODELS[2], outputs=["classes"], smallest="9")
    with pytest.raises(OptionError, match="give --object-class"):
        bigunet.segment(source, tmp_path / "a", model=MODELS[2], outputs=["instances"])
    with pytest.raises(OptionError, match="0 background, 1 cell, 2 border"):
        bigunet.segment(source, tmp_path / "a", model=MODELS[2], object_class="nucleus")


def test_instances_bring_the_classes_with_them(run: Run, tmp_path: Path) -> None:
    source = write_classes(tmp_path / "in.zarr", np.ones((8, 8), np.uint8))
    report = bigunet.segment(
        source, tmp_path / "out.zarr", model=MODELS[2], object_class="1", outputs=["instances"],
        client=run.client,
    )  # fmt: skip
    assert report.plan.options.outputs == ("classes", "instances")
    listed = json.loads((tmp_path / "out.zarr/labels/zarr.json").read_text())
    assert listed["attributes"]["ome"]["labels"] == ["classes", "instances"]


def stages_of(seen: list[Any]) -> set[str]:
    return {event.stage for event in seen if isinstance(event, BlockDone)}


@pytest.mark.slow
def test_a_lost_file_of_a_later_level_does_not_number_the_objects_anew(
    run: Run, tmp_path: Path
) -> None:
    source = write_classes(tmp_path / "in.zarr", some_classes((1100, 300), 4, 0.5))
    seen: list[Any] = []

    def segment(**arguments: Any) -> None:
        seen.clear()
        bigunet.segment(
            source, tmp_path / "out.zarr", model=MODELS[2], client=run.client, backend="torch",
            outputs=("instances",), object_class="cell", block_shape=(256, 256),
            on_event=lambda event: seen.append(event), **arguments,
        )  # fmt: skip

    segment()
    whole = contents(tmp_path / "out.zarr")
    for array in ("labels/classes/2", "labels/instances/0"):
        lost = [path for path in (tmp_path / "out.zarr" / array).rglob("*") if path.is_file()]
        next(path for path in lost if path.name != "zarr.json").unlink()
        segment(existing="resume")
        assert ("label" in stages_of(seen)) == (array == "labels/instances/0")
        assert contents(tmp_path / "out.zarr") == whole


def test_losses_that_were_recorded_for_the_classes_alone_reach_the_objects(
    run: Run, broad: tuple[Any, Path, Callable[..., SegmentReport]]
) -> None:
    """A kill between two lines of the ledger must not keep what was made of lost voxels."""
    _, whole, segment = broad
    output = run.folder / "torn.zarr"

    class Ended(Exception):
        pass

    def end(event: Any) -> None:
        if isinstance(event, BlockDone) and event.stage == "measure":
            raise Ended

    with pytest.raises(Ended):
        segment(output, on_event=end)
    with Ledger(output / "bigunet/ledger.jsonl") as ledger:
        ledger.forget({"segment": [5]})
    seen: list[Any] = []
    segment(output, existing="resume", on_event=lambda event: seen.append(event))
    relabelled = [e for e in seen if isinstance(e, BlockDone) and e.stage == "relabel"]
    assert len(relabelled) == 16
    assert contents(output) == contents(whole)


def test_a_border_that_is_too_wide_is_refused_before_the_first_block(
    run: Run, tmp_path: Path
) -> None:
    source = write_classes(tmp_path / "in.zarr", np.ones((8, 8), np.uint8))
    arguments: dict[str, Any] = {
        "model": MODELS[2], "outputs": ["instances"], "object_class": "cell", "border_width": 500,
    }  # fmt: skip
    with pytest.raises(OptionError, match="at most 99 voxels in 2D"):
        bigunet.segment(source, tmp_path / "a", border_class="border", **arguments)
    with pytest.raises(OptionError, match="give a class to --border-class"):
        bigunet.segment(source, tmp_path / "a", **arguments)
