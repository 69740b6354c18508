"""Laws of objects that a run splits: those of the whole image, for any blocks and interruptions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.balls import some_balls
from support.classes_as_image import classes_model, write_classes
from support.interrupted import Ended, interrupted
from support.stored import contents

import bigunet
from bigunet import SegmentReport, SplitRule
from bigunet.errors import OptionError
from bigunet.segmentation.instances.object_files import ObjectFiles

MODELS = {ndim: classes_model(ndim) for ndim in (2, 3)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, client: Any) -> Callable[..., np.ndarray]:
    folder = tmp_path_factory.mktemp("split")

    def segment(classes: np.ndarray, *, ndim: int = 2, **options: Any) -> np.ndarray:
        source, output = write_classes(folder / "in.zarr", classes), folder / "out.zarr"
        bigunet.segment(
            source, output, model=MODELS[ndim], client=client, backend="torch", split="on",
            outputs=["instances"], object_class="cell", existing="overwrite", **options,
        )  # fmt: skip
        return np.asarray(zarr.open_array(output / "labels/instances/0", mode="r")[:])

    return segment


@settings(max_examples=8)
@given(data=st.data())
def test_split_objects_are_those_of_the_whole_for_any_blocks(
    run: Callable[..., np.ndarray], data: st.DataObject
) -> None:
    ndim = data.draw(st.sampled_from([2, 2, 3]), "ndim")
    shape = (90, 110) if ndim == 2 else (30, 36, 40)
    classes = some_balls(shape, data.draw(st.integers(0, 99), "seed"), 25, 14 if ndim == 2 else 9)
    radius = data.draw(st.sampled_from([16, 5]), "radius")
    block = tuple(data.draw(st.sampled_from([24, 37, 110]), f"block {k}") for k in range(ndim))
    smallest = data.draw(st.sampled_from([0, 60]), "smallest")
    ids = run(classes, ndim=ndim, block_shape=block, split_radius=radius, smallest=smallest)
    expected = bigunet.label_objects(classes, split=SplitRule(radius=radius), smallest=smallest)
    assert np.array_equal(ids, expected)


def test_planes_are_split_on_their_own(run: Callable[..., np.ndarray]) -> None:
    classes = np.stack([some_balls((80, 90), seed, 14, 12) for seed in range(3)])
    ids = run(classes, block_shape=(2, 32, 64))
    assert np.array_equal(ids, bigunet.label_objects(classes, frames=1, split=SplitRule()))
    assert ids.max() > bigunet.label_objects(classes, frames=1).max()


@pytest.fixture(scope="module")
def broad(
    tmp_path_factory: pytest.TempPathFactory, client: Any
) -> tuple[Path, Callable[..., SegmentReport]]:
    """A finished output, and a function that makes such an output."""
    folder = tmp_path_factory.mktemp("broad")
    source = write_classes(folder / "in.zarr", some_balls((300, 280), 5, 120, 13))

    def segment(target: Path, **arguments: Any) -> SegmentReport:
        return bigunet.segment(
            source, target, model=MODELS[2], client=client, backend="torch", split="on",
            block_shape=(64, 64), object_class="cell", smallest=9, **arguments,
        )  # fmt: skip

    segment(folder / "whole.zarr")
    return folder / "whole.zarr", segment


@pytest.mark.slow
@settings(max_examples=5)
@given(ends=st.lists(st.integers(0, 90), min_size=1, max_size=3))
def test_a_run_that_is_interrupted_gives_the_same_bytes(
    broad: tuple[Path, Callable[..., SegmentReport]], ends: list[int]
) -> None:
    whole, segment = broad
    output = whole.parent / "interrupted.zarr"
    interrupted(segment, output, ends)
    assert contents(output) == contents(whole)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["label", "relabel"])
@pytest.mark.parametrize("of", ["seeds", "label"])
def test_files_that_are_lost_between_the_stages_are_made_again(
    broad: tuple[Path, Callable[..., SegmentReport]], stage: str, of: str
) -> None:
    whole, segment = broad
    output = whole.parent / "between.zarr"
    shutil.rmtree(output, ignore_errors=True)
    seen: list[str] = []

    def end(event: Any) -> None:
        seen.append(getattr(event, "stage", ""))
        if seen.count(stage) > 3:
            raise Ended

    with pytest.raises(Ended):
        segment(output, on_event=end)
    files = ObjectFiles(output / "bigunet").fragments(of)
    shards = [path for path in (files.folder / "fragments/0/c").rglob("*") if path.is_file()]
    gone = [*shards[:2], files.blocks.path(5), files.ids]
    for path in gone:
        path.unlink(missing_ok=stage == of)
    segment(output, existing="resume")
    assert contents(output) == contents(whole)


def test_verify_accepts_split_objects_and_sees_a_wrong_one(
    broad: tuple[Path, Callable[..., SegmentReport]],
) -> None:
    whole, _ = broad
    source = whole.parent / "in.zarr"
    found = bigunet.verify(source, whole, model=MODELS[2], windows=12)
    assert (found.ids_wrong, found.passed) == (0, True)
    copy = whole.parent / "wrong.zarr"
    shutil.copytree(whole, copy)
    ids = zarr.open_array(copy / "labels/instances/0")
    values = np.asarray(ids[:])
    values[:, 140:][values[:, 140:] > 0] += 1
    ids[:] = values
    assert bigunet.verify(source, copy, model=MODELS[2], windows=12).ids_wrong > 0


def test_a_radius_needs_splitting(run: Callable[..., np.ndarray], tmp_path: Path) -> None:
    source = write_classes(tmp_path / "in.zarr", np.ones((8, 8), np.uint8))
    with pytest.raises(OptionError, match="split radius 5: give --split on, too"):
        bigunet.segment(source, tmp_path / "o", model=MODELS[2], object_class="1", split_radius=5)
