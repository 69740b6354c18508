"""Laws of runs that end too early inside an image, and of files that are lost there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.classes_as_image import classes_model
from support.classes_in_ome_zarr import OBJECTS, some_classes, write_classes_image
from support.inside import NO_OBJECTS, beside, listed, listed_labels, without_address
from support.stored import contents

import bigunet
from bigunet import SegmentReport
from bigunet.events import BlockDone
from bigunet.segmentation.run import clearing

# Many runs each.
pytestmark = pytest.mark.slow

MODEL = classes_model(2)
SHAPE = (64, 90)

Segment = Callable[..., SegmentReport]


class Ended(Exception):
    """A run that is cut off."""


@pytest.fixture(scope="module")
def segment(client: Any) -> Segment:
    def run(image: Path, target: Path | None = None, **more: Any) -> SegmentReport:
        options = OBJECTS | more
        return bigunet.segment(image, target, model=MODEL, client=client, **options)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, segment: Segment) -> Path:
    """A finished run inside an image of six blocks."""
    image = write_classes_image(tmp_path_factory.mktemp("whole") / "in.zarr", some_classes(*SHAPE))
    segment(image)
    return image


@settings(max_examples=4)
@given(ends=st.lists(st.integers(0, 26), min_size=1, max_size=2))
def test_a_run_that_is_cut_off_at_any_block_gives_the_same_bytes(
    whole: Path, segment: Segment, ends: list[int]
) -> None:
    image = whole.parent / "cut off" / "in.zarr"
    shutil.rmtree(image, ignore_errors=True)
    write_classes_image(image, some_classes(*SHAPE))
    for end in ends:
        left = [end]

        def count(event: Any, left: list[int] = left) -> None:
            left[0] -= isinstance(event, BlockDone)
            if left[0] < 0:
                raise Ended

        with contextlib.suppress(Ended):
            segment(image, existing="resume", on_event=count)
            continue
        assert "instances" not in listed_labels(image)
    segment(image, existing="resume")
    assert without_address(image) == without_address(whole)


TABLE = "tables/instances"
CHUNK = "labels/instances/0/c/1/0"
LOST = [
    {f"{TABLE}/table.parquet"},
    {f"{TABLE}/zarr.json"},
    {"tables/zarr.json"},
    {"tables", CHUNK},
    {CHUNK},
    {"labels/instances/zarr.json", "labels/instances/0/zarr.json"},
    {"labels/instances"},
    {"labels/classes/0/c/0/0"},
]


@pytest.mark.parametrize("gone", LOST, ids=lambda gone: ", ".join(sorted(gone)))
def test_what_is_lost_is_made_again(whole: Path, segment: Segment, gone: set[str]) -> None:
    image, kept = whole.parent / "lost.zarr", whole.parent / "kept.zarr"
    if not kept.exists():
        segment(write_classes_image(image, some_classes(*SHAPE)))
        shutil.copytree(image, kept)
    shutil.rmtree(image)
    shutil.copytree(kept, image)
    for path in gone:
        if (image / path).is_dir():
            shutil.rmtree(image / path)
        else:
            (image / path).unlink()
    segment(image, existing="resume")
    assert contents(image) == contents(kept)


@pytest.mark.parametrize("cut", ["segment", "measure"])
def test_overwriting_removes_the_objects_of_an_earlier_run_and_nothing_else(
    tmp_path: Path, whole: Path, segment: Segment, cut: str
) -> None:
    image = tmp_path / "in.zarr"
    shutil.copytree(whole, image)
    add = beside(image)
    zarr.open_group(image / "tables/mine", mode="w")

    def end(event: Any) -> None:
        if isinstance(event, BlockDone) and event.stage == cut:
            raise Ended

    with pytest.raises(Ended):
        segment(image, existing="overwrite", smallest="5", on_event=end)
    assert listed(image) == ([], [])
    assert not (image / "tables/instances").exists()
    (image / "tables/.instances.partial").mkdir()
    report = segment(image, existing="overwrite", outputs=("classes",), **NO_OBJECTS)
    assert report.objects is None
    assert not (image / "labels/instances").exists()
    assert listed(image)[0] == ["classes"]
    assert set(beside(image)) == {*add, "tables/mine/zarr.json"}


@pytest.mark.parametrize(
    ("num_removed", "existing"), [(n, "resume") for n in (1, 5)] + [(6, "overwrite")]
)
def test_a_removal_that_is_cut_off_leaves_nothing_that_is_not_known(
    tmp_path: Path, whole: Path, segment: Segment, monkeypatch: pytest.MonkeyPatch,
    num_removed: int, existing: str,
) -> None:  # fmt: skip
    image = tmp_path / "in.zarr"
    segment(write_classes_image(image, some_classes(*SHAPE)))
    left, remove = [num_removed], clearing._remove

    def end(entry: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Ended
        remove(entry)

    monkeypatch.setattr(clearing, "_remove", end)
    with pytest.raises(Ended):
        segment(image, existing="overwrite")
    assert listed(image) == ([], [])
    monkeypatch.undo()
    segment(image, existing=existing)
    assert without_address(image) == without_address(whole)


def test_parts_write_objects_into_the_image(tmp_path: Path, whole: Path, segment: Segment) -> None:
    image = write_classes_image(tmp_path / "in.zarr", some_classes(*SHAPE))
    assert not segment(image, part="1/2").finished
    assert "instances" not in listed_labels(image)
    assert segment(image, part="2/2").finished
    kept = {p: d for p, d in without_address(image).items() if "bigunet/" not in p}
    assert kept == {p: d for p, d in without_address(whole).items() if "bigunet/" not in p}
