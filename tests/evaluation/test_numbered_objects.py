"""Numbered objects are scored as they are: of an output, without a word about its classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.classes_as_image import classes_model, write_classes
from support.discs import discs

from bigunet import ClusterSpec, EvaluateOptions, evaluate, segment
from bigunet.errors import ImageError
from bigunet.evaluation.evaluate import Evaluation
from bigunet.labels import connected

LARGEST = {np.uint8: 200, np.uint32: 2**32 - 50, np.int64: 2**63 - 50, np.uint64: 2**64 - 50}
"""Numbers of each type from which on objects are numbered."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With ``out.zarr`` (classes and objects), ``classes.zarr`` (no objects), and the truth."""
    folder = tmp_path_factory.mktemp("numbered")
    truth = discs((60, 50), seed=0)
    zarr.create_array(str(folder / "truth.zarr"), data=truth.astype(np.uint16))
    image = write_classes(folder / "in.zarr", (truth > 0).astype(np.uint8))
    for name, outputs in (("out", ("classes", "instances")), ("classes", ("classes",))):
        segment(
            image, folder / f"{name}.zarr", model=classes_model(2), client=ClusterSpec("threads"),
            backend="torch", outputs=outputs, tile_shape=(64, 64),
            **({"object_class": "cell"} if name == "out" else {}),
        )  # fmt: skip
    return folder


def scores(folder: Path, prediction: str, truth: str = "truth.zarr", **options: object) -> object:
    chosen = EvaluateOptions(kind="instances", **options)  # type: ignore[arg-type]
    return without_nan(evaluate(folder / prediction, folder / truth, options=chosen))


def without_nan(evaluation: Evaluation) -> object:
    """Scores that equal themselves."""
    return evaluation.to_dict()["scores"]


def test_the_objects_of_an_output_need_no_name_of_a_class(folder: Path) -> None:
    both = scores(folder, "out.zarr")
    assert both == scores(folder, "out.zarr/labels/instances")
    assert both == scores(folder, "classes.zarr", object_class="cell")
    result = evaluate(folder / "out.zarr", folder / "truth.zarr", kind="instances")
    assert result.images[0].prediction == str(folder / "out.zarr/labels/instances")
    assert result.warnings == ()


def test_an_output_is_a_truth_by_its_objects_as_well(folder: Path) -> None:
    result = evaluate(folder / "out.zarr", folder / "out.zarr", kind="instances").scores
    objects = zarr.open_array(str(folder / "out.zarr/labels/instances/0"))[:]
    assert (result["matched"], result["missed"], result["spurious"]) == (objects.max(), 0, 0)
    # Masks are classes, which the user has connected.
    assert scores(folder, "out.zarr", "out.zarr", connected=True) == scores(
        folder, "out.zarr", "out.zarr"
    )


def test_a_class_or_its_channel_is_taken_where_it_is_named(folder: Path) -> None:
    named = evaluate(folder / "out.zarr", folder / "truth.zarr", kind="instances", object_class=1)
    assert named.images[0].prediction == str(folder / "out.zarr")
    with pytest.raises(ImageError, match="say which class is objects, such as --object-class cell"):
        scores(folder, "out.zarr/labels/classes")


def test_other_kinds_and_outputs_of_classes_are_read_as_before(folder: Path) -> None:
    with pytest.raises(ImageError, match="say which class is objects, such as --object-class cell"):
        scores(folder, "classes.zarr")
    for name in ("out.zarr", "classes.zarr"):
        result = evaluate(folder / name, folder / "classes.zarr")
        assert result.images[0].prediction == str(folder / name)
        assert result.scores["pixel_error"] == 0


@settings(max_examples=25, deadline=None)
@given(data=st.data(), kinds=st.tuples(*[st.sampled_from(sorted(LARGEST, key=str))] * 2))
def test_numbers_of_any_type_and_size_give_the_same_scores(
    folder: Path, data: st.DataObject, kinds: tuple[type[np.integer], type[np.integer]]
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    images = [connected(rng.random((9, 11)) < 0.5) for _ in range(2)]
    for name, image in zip(("a", "b"), images):
        zarr.create_array(str(folder / f"{name}.zarr"), data=image, overwrite=True)
    plain = scores(folder, "a.zarr", "b.zarr")
    for name, image, kind in zip(("a", "b"), images, kinds):
        large = np.where(image > 0, image.astype(kind) + kind(LARGEST[kind]), kind(0))
        zarr.create_array(str(folder / f"{name}.zarr"), data=large, overwrite=True)
    assert scores(folder, "a.zarr", "b.zarr") == plain
    assert scores(folder, "a.zarr", "b.zarr", smallest=1) == plain
