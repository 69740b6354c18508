"""Training through its public function: its files, and that ``segment`` runs what was trained."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.discs import discs, grey_of
from support.training_images import OPTIONS, quick, write_array, write_folders

from bigunet import Recipe, SegmentOptions, load_model, segment, train
from bigunet.errors import OutputError
from bigunet.events import AtWork, StepDone, TrainBegun, TrainEvent, Validated
from bigunet.geometry import Box
from bigunet.model.object_description import ObjectDescription
from bigunet.training.data.augment import NO_AUGMENTATION
from bigunet.training.data.training_set import open_training_set
from bigunet.training.run import final_model
from bigunet.training.run.run_folder import Record
from bigunet.training.run.train_report import TrainReport
from bigunet.training.segmented_samples import segment_samples
from bigunet.training.validate import SMALLEST_OBJECT, score_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_folders(folder)
    return folder


@pytest.fixture(scope="module")
def events() -> list[TrainEvent]:
    return []


@pytest.fixture(scope="module")
def report(folder: Path, events: list[TrainEvent]) -> TrainReport:
    return train(
        folder / "images",
        folder / "labels",
        out=folder / "model.safetensors",
        options=OPTIONS,
        recipe=quick(),
        card={"licence": "CC0-1.0"},
        on_event=events.append,
    )


def test_the_model_file_holds_the_whole_recipe(report: TrainReport) -> None:
    known = load_model(report.path).description
    assert Recipe.from_dict(known.training["recipe"]) == quick(border_weight=10.0)
    assert known.training["options"]["depth"] == 1
    assert known.training["images"] == 3
    assert len(known.training["validation_images"]) == 1
    assert known.training["validation_score"] == round(report.score, 4)
    assert known.card["licence"] == "CC0-1.0"
    assert [c.name for c in known.classes] == ["background", "cell", "border"]
    assert known.objects == ObjectDescription("cell", "border", 1, SMALLEST_OBJECT)
    assert "fp32" in known.precisions


def test_curves_and_pictures_lie_beside_the_model(report: TrainReport) -> None:
    with (report.record / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["score"] != "" for row in rows] == [False, True] * 3
    assert all(float(row["loss"]) > 0 for row in rows)
    for name in ("curves.png", "patches.png"):
        with Image.open(report.record / name) as picture:
            assert min(picture.size) > 300
    assert not (report.record / "checkpoint.safetensors").exists()


def test_events_report_the_beginning_each_step_and_each_validation(
    report: TrainReport, events: list[TrainEvent]
) -> None:
    begun, *rest = (event for event in events if not isinstance(event, AtWork))
    assert isinstance(begun, TrainBegun)
    shares = {"background": 0.691, "cell": 0.2611, "border": 0.0479}
    assert begun.class_shares == pytest.approx(shares, abs=1e-4)
    assert replace(begun, class_shares={}) == TrainBegun(
        3, 1, (40, 40), report.weights, 0, "average-precision"
    )
    assert [e.step for e in rest if isinstance(e, StepDone)] == list(range(1, 7))
    scores = [e for e in rest if isinstance(e, Validated)]
    assert [e.step for e in scores] == [2, 4, 6]
    assert report.best_step == max(scores, key=lambda e: (e.score, e.step)).step
    assert scores[0].kept


def test_all_that_takes_time_besides_steps_has_a_name_and_comes_to_its_end(
    report: TrainReport, events: list[TrainEvent]
) -> None:
    shares: dict[str, list[float]] = {}
    for event in events:
        if isinstance(event, AtWork):
            shares.setdefault(event.stage, []).append(event.share)
    named = {"reading images", "counting labels", "validation", "saving", "pictures"}
    assert named <= set(shares) <= named | {"trying bf16"}
    assert all(one[0] == 0 and one[-1] == 1 for one in shares.values())


def test_the_report_is_json(report: TrainReport) -> None:
    values = json.loads(json.dumps(report.to_dict()))
    assert values["steps"] == 6
    assert values["patches_per_second"] > 0


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    models = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / f"{name}.safetensors"
        recipe = quick(seed=seed, steps=3)
        train(folder / "images", folder / "labels", out=out, options=OPTIONS, recipe=recipe)
        models.append(load_model(out).module.state_dict())
    first, same, other = models
    assert all(torch.equal(same[name], tensor) for name, tensor in first.items())
    assert not all(torch.equal(other[name], tensor) for name, tensor in first.items())


@given(st.integers(0, 10), st.integers(0, 10))
@settings(max_examples=10, deadline=None)
def test_what_trains_is_what_runs(
    scores_of_segment: tuple[Path, np.ndarray, np.ndarray], row: int, column: int
) -> None:
    """A network in training gives a patch the scores that ``segment`` gives the image there."""
    path, image, probabilities = scores_of_segment
    model = load_model(path)
    field = model.receptive_field
    write_to = path.parent
    (sample,) = open_training_set(
        write_to / "image.zarr",
        write_to / "labels.zarr",
        replace(OPTIONS, validation=0.0),
        quick(augmentation=NO_AUGMENTATION, class_balance=0.0),
    ).samples
    # Pooling is anchored at voxel 0 of the image, so the patch begins at a multiple of the stride.
    scored = tuple(s * k for s, k in zip(field.stride, (row, column)))
    shape = field.input_shape((20, 20))
    start = tuple(a - h for a, h in zip(scored, field.halo))
    box = Box(start, tuple(a + n for a, n in zip(start, shape)))
    grey = torch.from_numpy(sample.grey(box))[None]
    with torch.no_grad():
        scores = model.module.train()(grey)[0].softmax(0)
    first = tuple(h - b for h, b in zip(field.halo, field.border))
    ends = [min(20, n - a) for n, a in zip(image.shape, scored)]
    inner = tuple(slice(f, f + e) for f, e in zip(first, ends))
    there = tuple(slice(a, a + e) for a, e in zip(scored, ends))
    np.testing.assert_allclose(
        scores.numpy()[(slice(None), *inner)] * 255, probabilities[(slice(None), *there)], atol=0.51
    )


@pytest.fixture(scope="module")
def scores_of_segment(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, np.ndarray, np.ndarray]:
    folder = tmp_path_factory.mktemp("law")
    labels = discs((70, 64), seed=3)
    image = grey_of(labels)
    write_array(folder / "image.zarr", image)
    write_array(folder / "labels.zarr", labels)
    out = folder / "m.safetensors"
    recipe = quick(steps=4)
    train(folder / "image.zarr", folder / "labels.zarr", out=out, options=OPTIONS, recipe=recipe)
    segment(
        folder / "image.zarr",
        folder / "out.zarr",
        model=out,
        options=SegmentOptions(outputs=("classes", "probabilities"), block_shape=(32, 32)),
    )
    probabilities = zarr.open_array(str(folder / "out.zarr/probabilities/0"), mode="r")[...]
    return out, image, np.asarray(probabilities, float)


def test_a_volume_trains_a_network_of_three_axes(tmp_path: Path) -> None:
    labels = discs((30, 32, 34), seed=1, count=24)
    write_array(tmp_path / "i.zarr", grey_of(labels), (0.5, 0.25, 0.25))
    write_array(tmp_path / "l.zarr", labels, (0.5, 0.25, 0.25))
    out = tmp_path / "m.safetensors"
    options = replace(OPTIONS, width=2)
    recipe = quick(steps=2, patch=10, batch=1)
    train(tmp_path / "i.zarr", tmp_path / "l.zarr", out=out, options=options, recipe=recipe)
    model = load_model(out)
    assert model.ndim == 3
    assert model.description.voxel_size_um == (0.5, 0.25, 0.25)


@pytest.mark.parametrize("network", ["fcn", "sliding-window"])
def test_the_networks_of_the_comparison_train_with_the_same_code(
    folder: Path, tmp_path: Path, network: str
) -> None:
    options = replace(OPTIONS, network=network, width=4, depth=2)  # type: ignore[arg-type]
    out = tmp_path / "m.safetensors"
    recipe = quick(steps=2, patch=8, batch=1)
    train(folder / "images", folder / "labels", out=out, options=options, recipe=recipe)
    assert load_model(out).description.architecture["name"] == network


def test_masks_become_connected_objects(tmp_path: Path) -> None:
    write_folders(tmp_path)
    for path in (tmp_path / "labels").iterdir():
        mask = (np.asarray(Image.open(path)) > 0).astype(np.uint8) * 255
        Image.fromarray(mask).save(path)
    options = replace(OPTIONS, target="boundaries", border_width=0, connected=True)
    recipe = quick(steps=2)
    training_set = open_training_set(tmp_path / "images", tmp_path / "labels", options, recipe)
    box = Box.of_shape(training_set.samples[0].labels.shape)
    assert training_set.samples[0].labels.read(box).max() > 1
    out = tmp_path / "m.safetensors"
    train(tmp_path / "images", tmp_path / "labels", out=out, options=options, recipe=recipe)
    assert [c.name for c in load_model(out).description.classes] == ["boundary", "interior"]


def test_a_model_can_begin_from_another_ones_weights(
    folder: Path, report: TrainReport, tmp_path: Path
) -> None:
    options = replace(OPTIONS, begin_from=str(report.path))
    recipe = quick(steps=1, learning_rate=1e-12, averaging=0.0)
    out = tmp_path / "m.safetensors"
    train(folder / "images", folder / "labels", out=out, options=options, recipe=recipe)
    models = [load_model(p) for p in (report.path, out)]
    begun_from = models[1].description.training["begun_from"]
    assert begun_from["sha256"] == models[0].digest
    assert begun_from["training"] == models[0].description.training
    assert str(report.path) not in str(models[1].description)
    first, second = (model.module.state_dict() for model in models)
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, atol=1e-6, rtol=0)


def test_calibrated_scores_are_in_the_file_and_no_worse(folder: Path, tmp_path: Path) -> None:
    reports = {}
    images = folder / "images", folder / "labels"
    for calibrate in (False, True):
        options = replace(OPTIONS, calibrate=calibrate)
        out = tmp_path / f"{calibrate}.safetensors"
        reports[calibrate] = train(*images, out=out, options=options, recipe=quick(score="dice"))
    plain, shifted = (load_model(reports[key].path) for key in (False, True))
    offsets = shifted.description.training["class_offsets"]
    added = shifted.module.get_parameter("head.bias") - plain.module.get_parameter("head.bias")
    torch.testing.assert_close(added, torch.tensor(offsets), atol=1e-6, rtol=0)
    known = open_training_set(*images, OPTIONS, quick())
    everything = [*known.samples, *known.validation]
    before, after = (
        score_of(
            segment_samples(model, everything, device="cpu"), known.rule, reports[True].score_name
        )
        for model in (plain, shifted)
    )
    # The search compares scores in half precision.
    assert after >= before - 0.02
    assert after > 0


def test_a_run_killed_at_its_end_is_not_calibrated_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, calibrate=True)
    out = tmp_path / "m.safetensors"
    # A search that gives the same offsets each time.
    monkeypatch.setattr(final_model, "search_offsets", lambda score, n: ((0.5,) * n, 0.0))
    with monkeypatch.context() as cut_off:
        cut_off.setattr(Record, "draw_patches", _killed)
        with pytest.raises(InterruptedError):
            train(folder / "images", folder / "labels", out=out, options=options, recipe=quick())
    before = load_model(out).module.get_parameter("head.bias")
    train(
        folder / "images", folder / "labels", out=out, options=options, recipe=quick(),
        existing="resume",
    )  # fmt: skip
    assert load_model(out).description.training["class_offsets"] == [0.5] * 3
    assert torch.equal(load_model(out).module.get_parameter("head.bias"), before)


def _killed(*_: object, **__: object) -> None:
    raise InterruptedError


def test_training_ends_early_when_the_score_no_longer_rises(folder: Path, tmp_path: Path) -> None:
    recipe = quick(steps=500, learning_rate=1e-12, patience=2)
    out = tmp_path / "m.safetensors"
    report = train(folder / "images", folder / "labels", out=out, options=OPTIONS, recipe=recipe)
    assert report.stopped_early
    assert report.steps == report.best_step == 6


def test_without_images_to_validate_on_the_last_weights_are_kept(
    folder: Path, tmp_path: Path
) -> None:
    options = replace(OPTIONS, validation=0.0)
    out = tmp_path / "m.safetensors"
    report = train(folder / "images", folder / "labels", out=out, options=options, recipe=quick())
    assert report.best_step == 6
    assert math.isnan(report.score)
    assert report.to_dict()["score"] is None


def test_existing_files_are_neither_overwritten_nor_mixed(
    folder: Path, report: TrainReport, tmp_path: Path
) -> None:
    arguments = {"out": report.path, "options": OPTIONS, "recipe": quick()}
    with pytest.raises(
        OutputError, match=r"is of a finished run; go on .* --from .* or begin anew"
    ):
        train(folder / "images", folder / "labels", **arguments)  # type: ignore[arg-type]


def test_border_terms_are_kept_and_used_again(folder: Path, tmp_path: Path) -> None:
    digests: list[dict[str, torch.Tensor]] = []
    written: list[list[tuple[str, int]]] = []
    for cache in ("", "cache", "cache"):
        out = tmp_path / f"{len(digests)}.safetensors"
        train(
            folder / "images",
            folder / "labels",
            out=out,
            options=OPTIONS,
            recipe=quick(steps=2, augmentation=NO_AUGMENTATION),
            weight_cache=tmp_path / cache if cache else "",
        )
        digests.append(load_model(out).module.state_dict())
        kept = sorted((tmp_path / "cache").glob("*.zarr"))
        assert len(kept) == (3 if cache else 0)
        written.append([(p.name, (p / "zarr.json").stat().st_mtime_ns) for p in kept])
    assert written[1] == written[2]
    for name, tensor in digests[0].items():
        for other in digests[1:]:
            torch.testing.assert_close(other[name], tensor, atol=1e-4, rtol=1e-3)
