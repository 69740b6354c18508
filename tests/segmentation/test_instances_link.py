"""Laws of objects that a run links over planes and time: any blocks, interruptions and axes."""

from __future__ import annotations

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
from support.interrupted import interrupted
from support.stored import contents

import bigunet
from bigunet import SegmentReport
from bigunet.errors import OptionError

MODELS = {ndim: classes_model(ndim) for ndim in (2, 3)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, client: Any) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("link")

    def segment(classes: np.ndarray, *, ndim: int = 2, axes: str = "", **options: Any) -> Path:
        source, output = write_classes(folder / "in.zarr", classes, axes), folder / "out.zarr"
        bigunet.segment(
            source, output, model=MODELS[ndim], client=client, backend="torch",
            outputs=["instances"], object_class="cell", existing="overwrite", **options,
        )  # fmt: skip
        return output

    return segment


def ids_of(output: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(output / "labels/instances/0", mode="r")[:])


def moving_balls(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Balls of up to four axes, so that they last for some planes and time points."""
    classes = some_balls(shape, seed, 8 * len(shape), 6)
    classes[some_balls(shape, seed + 1, 6, 3) > 0] *= 2
    return classes


@settings(max_examples=6)
@given(data=st.data())
def test_linked_objects_are_those_of_the_whole_for_any_blocks(
    run: Callable[..., Path], data: st.DataObject
) -> None:
    shape, ndim, words = data.draw(
        st.sampled_from(
            [
                ((6, 30, 32), 2, ("link_planes",)),
                ((3, 4, 20, 24), 2, ("link_planes",)),
                ((3, 4, 20, 24), 2, ("link_time",)),
                ((3, 4, 20, 24), 2, ("link_planes", "link_time")),
                ((3, 7, 16, 18), 3, ("link_time",)),
            ]
        ),
        "case",
    )
    links = {word: data.draw(st.sampled_from([0.1, 0.5, 1]), word) for word in words}
    block = tuple(
        data.draw(st.sampled_from([2, n]), f"block {k}") for k, n in enumerate(shape[:-2])
    )
    block += tuple(data.draw(st.sampled_from([11, 16, 48]), f"block {k}") for k in "yx")
    classes = moving_balls(shape, data.draw(st.integers(0, 99), "seed"))
    rules = {"smallest": data.draw(st.sampled_from([0, 40]), "smallest"), "border_width": 2}
    output = run(classes, ndim=ndim, block_shape=block, border_class="border", **rules, **links)
    frames = len(shape) - ndim
    expected = bigunet.label_objects(classes, frames=frames, border=2, **rules, **links)
    assert np.array_equal(ids_of(output), expected)
    found = bigunet.verify(output.parent / "in.zarr", output, model=MODELS[ndim], windows=3)
    assert found.ids_wrong == 0


@pytest.mark.parametrize("slice_axis", ["z", "y", "x"])
def test_the_table_of_linked_planes_is_that_of_volumes(
    run: Callable[..., Path], slice_axis: str
) -> None:
    classes = moving_balls((14, 15, 17), 8)
    output = run(classes, link_planes=0.3, slice_axis=slice_axis, block_shape=(4, 9, 9))
    table = read_table(output)
    expected = bigunet.measure(ids_of(output), classes, class_name="cell")
    order = np.argsort(table["label"])
    for name in ("area", "centroid-0", "centroid-2", "bbox-4", "intensity_mean", "cut"):
        assert np.array_equal(np.asarray(table[name])[order], expected[name]), name


def test_the_table_of_linked_time_points_has_a_row_for_each(run: Callable[..., Path]) -> None:
    classes = moving_balls((5, 40, 44), 3)
    output = run(classes, axes="tyx", link_time=0.2, block_shape=(2, 16, 16))
    ids, table = ids_of(output), read_table(output)
    rows = {(t, k) for t in range(5) for k in np.unique(ids[t]) if k}
    assert list(zip(table["t"], table["label"])) == sorted(rows)
    assert len(rows) > ids.max()


def read_table(output: Path) -> dict[str, np.ndarray]:
    import pyarrow.parquet

    columns = pyarrow.parquet.read_table(output / "tables/instances/table.parquet")
    return {name: columns[name].to_numpy() for name in columns.column_names}


@pytest.fixture(scope="module")
def broad(
    tmp_path_factory: pytest.TempPathFactory, client: Any
) -> tuple[Path, Callable[..., SegmentReport]]:
    """A finished output, and a function that makes such an output."""
    folder = tmp_path_factory.mktemp("broad")
    source = write_classes(folder / "in.zarr", moving_balls((8, 90, 80), 5))

    def segment(target: Path, **arguments: Any) -> SegmentReport:
        return bigunet.segment(
            source, target, model=MODELS[2], client=client, backend="torch", link_planes=0.25,
            block_shape=(3, 32, 32), object_class="cell", smallest=30, **arguments,
        )  # fmt: skip

    segment(folder / "whole.zarr")
    return folder / "whole.zarr", segment


@pytest.mark.slow
@settings(max_examples=4)
@given(ends=st.lists(st.integers(0, 110), min_size=1, max_size=3))
def test_a_run_that_is_interrupted_gives_the_same_bytes(
    broad: tuple[Path, Callable[..., SegmentReport]], ends: list[int]
) -> None:
    whole, segment = broad
    output = whole.parent / "interrupted.zarr"
    interrupted(segment, output, ends)
    assert contents(output) == contents(whole)


@pytest.mark.parametrize(
    ("axes", "ndim", "options", "words"),
    [
        (
            "yx",
            2,
            {"link_planes": 0.5},
            "the axes y, x, and no planes to link; leave out --link-planes$",
        ),
        ("zyx", 3, {"link_planes": 0.5}, "the network is 3D.*leave out --link-planes"),
        (
            "tyx",
            2,
            {"link_planes": 0.5},
            "leave out --link-planes; for time points, give --link-time",
        ),
        ("zyx", 2, {"link_time": 0.5}, "no time points: leave out --link-time, or name the axes"),
        ("zyx", 2, {"link_planes": 1.5}, "link_planes 1.5: give a number above 0, and 1 at most"),
    ],
)
def test_links_that_an_image_does_not_have_are_refused(
    tmp_path: Path, axes: str, ndim: int, options: dict[str, float], words: str
) -> None:
    classes = np.ones((8,) * len(axes), np.uint8)
    source = write_classes(tmp_path / "in.zarr", classes, axes)
    with pytest.raises(OptionError, match=words):
        bigunet.segment(source, tmp_path / "o", model=MODELS[ndim], object_class="cell", **options)
