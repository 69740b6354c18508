"""Laws of holes that a run fills: those of the whole image, for any blocks and interruptions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.classes_as_image import classes_model, write_classes
from support.interrupted import interrupted
from support.stored import contents

import bigunet
from bigunet import SegmentReport, SplitRule

MODELS = {ndim: classes_model(ndim) for ndim in (2, 3)}


def holed(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Objects of class 1 with holes of background and of border."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(3, shape, p=[0.3, 0.62, 0.08]).astype(np.uint8)
    classes[rng.random(shape) < 0.02] = 0
    return classes


@settings(max_examples=6)
@given(data=st.data())
def test_objects_without_holes_are_those_of_the_whole_for_any_blocks(
    tmp_path_factory: pytest.TempPathFactory, client: Any, data: st.DataObject
) -> None:
    shape, ndim = data.draw(
        st.sampled_from([((50, 44), 2), ((3, 30, 26), 2), ((14, 18, 16), 3)]), "case"
    )
    classes = holed(shape, data.draw(st.integers(0, 99), "seed"))
    block = tuple(data.draw(st.sampled_from([7, 16, 64]), f"block {k}") for k in range(len(shape)))
    rules: dict[str, Any] = {
        "border_width": 1,
        "smallest": data.draw(st.sampled_from([0, 5]), "smallest"),
        "fill_holes": data.draw(st.sampled_from([1, 4, 300]), "largest hole"),
    }
    is_split = data.draw(st.booleans(), "split")
    folder = tmp_path_factory.mktemp("holes")
    source, output = write_classes(folder / "in.zarr", classes), folder / "out.zarr"
    bigunet.segment(
        source, output, model=MODELS[ndim], client=client, backend="torch", block_shape=block,
        outputs=["instances"], object_class="cell", border_class="border",
        split="on" if is_split else "off", **rules,
    )  # fmt: skip
    ids = np.asarray(zarr.open_array(output / "labels/instances/0", mode="r")[:])
    expected = bigunet.label_objects(
        classes,
        frames=len(shape) - ndim,
        border=2,
        split=SplitRule() if is_split else None,
        **rules,
    )
    assert np.array_equal(ids, expected)
    assert bigunet.verify(source, output, model=MODELS[ndim], windows=3).ids_wrong == 0


@pytest.fixture(scope="module")
def broad(
    tmp_path_factory: pytest.TempPathFactory, client: Any
) -> tuple[Path, Callable[..., SegmentReport]]:
    """A finished output, and a function that makes such an output."""
    folder = tmp_path_factory.mktemp("broad")
    source = write_classes(folder / "in.zarr", holed((120, 100), 5))

    def segment(target: Path, **arguments: Any) -> SegmentReport:
        return bigunet.segment(
            source, target, model=MODELS[2], client=client, backend="torch", fill_holes=9,
            block_shape=(32, 32), object_class="cell", **arguments,
        )  # fmt: skip

    segment(folder / "whole.zarr")
    return folder / "whole.zarr", segment


@pytest.mark.slow
@settings(max_examples=4)
@given(ends=st.lists(st.integers(0, 75), min_size=1, max_size=3))
def test_a_run_that_is_interrupted_gives_the_same_bytes(
    broad: tuple[Path, Callable[..., SegmentReport]], ends: list[int]
) -> None:
    whole, segment = broad
    output = whole.parent / "interrupted.zarr"
    interrupted(segment, output, ends)
    assert contents(output) == contents(whole)
