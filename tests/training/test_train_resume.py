"""A killed training continues from its last checkpoint to the weights of an uninterrupted run."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from support.training_images import BIGUNET, OPTIONS, quick, write_folders
from torch import Tensor

from bigunet import load_model, train
from bigunet.errors import BigUNetError, OutputError, ResumeError, TrainingError
from bigunet.events import StepDone, TrainBegun, TrainEvent, Validated
from bigunet.training.loss import weighted_cross_entropy


class Stop(Exception):
    """Raised to cut a run off."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_folders(folder)
    return folder


def run(folder: Path, out: Path, *, cut_at: int = 0, existing: str = "refuse") -> list[TrainEvent]:
    """Train; after ``cut_at`` steps the run is cut off."""
    events: list[TrainEvent] = []

    def on_event(event: TrainEvent) -> None:
        events.append(event)
        if isinstance(event, StepDone) and event.step == cut_at:
            raise Stop

    train(
        folder / "images",
        folder / "labels",
        out=out,
        options=replace(OPTIONS, dropout=0.2, batch_norm=True),
        recipe=quick(steps=10, freeze_statistics=0.5),
        existing=existing,  # type: ignore[arg-type]
        on_event=on_event,
    )
    return events


def curves(out: Path) -> list[list[str]]:
    """The columns that do not depend on time."""
    lines = (out.with_name(f"{out.stem}.training") / "curves.csv").read_text().splitlines()
    return [line.split(",")[:4] for line in lines]


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """A run that is not cut off."""
    out = folder / "whole.safetensors"
    run(folder, out)
    return out


@pytest.mark.parametrize("cut_at", [1, 3, 4, 9])
def test_a_run_that_was_cut_off_ends_as_the_whole_run(
    folder: Path, whole: Path, tmp_path: Path, cut_at: int
) -> None:
    cut = tmp_path / "cut.safetensors"
    with pytest.raises(Stop):
        run(folder, cut, cut_at=cut_at)
    with pytest.raises(OutputError, match="continue its run with --resume, or begin anew"):
        run(folder, cut)
    events = run(folder, cut, existing="resume")
    begun = next(e for e in events if isinstance(e, TrainBegun))
    assert begun.steps_done == (cut_at - 1) // 2 * 2
    first, second = (load_model(path) for path in (whole, cut))
    for name, tensor in first.module.state_dict().items():
        torch.testing.assert_close(second.module.state_dict()[name], tensor, rtol=0, atol=0)
    assert second.description.training["step"] == first.description.training["step"]
    assert curves(whole) == curves(cut)


def test_a_second_run_stops_before_it_touches_anything(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    refused = []

    def beside(event: TrainEvent) -> None:
        if isinstance(event, Validated) and event.step == 2:
            for existing in ("refuse", "resume", "overwrite"):
                with pytest.raises(OutputError, match=rf"another process \(pid {os.getpid()} on"):
                    run(folder, out, existing=existing)
                refused.append(existing)
            raise Stop

    arguments = {"out": out, "options": OPTIONS, "recipe": quick()}
    with pytest.raises(Stop):
        train(folder / "images", folder / "labels", on_event=beside, **arguments)  # type: ignore[arg-type]
    assert len(refused) == 3
    assert not (tmp_path / "m.training" / ".lock").exists()
    # The file that a killed process leaves is no lock.
    (tmp_path / "m.training" / ".lock").write_text("pid 1 on there")
    train(folder / "images", folder / "labels", existing="resume", **arguments)  # type: ignore[arg-type]


def test_images_may_be_moved_but_not_changed_before_a_run_goes_on(tmp_path: Path) -> None:
    write_folders(tmp_path / "here")
    out = tmp_path / "m.safetensors"
    with pytest.raises(Stop):
        run(tmp_path / "here", out, cut_at=3)
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(Stop):
        run(tmp_path / "there", out, cut_at=5, existing="resume")
    for path in (tmp_path / "there" / "labels").iterdir():
        labels = np.asarray(Image.open(path)).copy()
        labels[:20] = 0
        Image.fromarray(labels).save(path)
    with pytest.raises(ResumeError, match=r"differently: voxels of the classes: was \d+, [^;]*$"):
        run(tmp_path / "there", out, existing="resume")


def test_images_that_cannot_be_learned_leave_nothing_to_go_on_from(tmp_path: Path) -> None:
    write_folders(tmp_path)
    for path in list((tmp_path / "images").iterdir()):
        grey = np.asarray(Image.open(path)).astype(np.float32)
        grey[::7] = np.nan
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), grey)
    with pytest.raises(TrainingError, match="NaN or infinite"):
        run(tmp_path, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.training" / "checkpoint.safetensors").exists()


def test_a_finished_run_has_nothing_to_go_on_from(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    run(folder, out)
    with pytest.raises(ResumeError, match=r"finished run; go on from it with --from .*m\.safe"):
        run(folder, out, existing="resume")
    assert [e.kept for e in run(folder, out, existing="overwrite") if isinstance(e, Validated)]


def test_a_run_that_is_overwritten_keeps_its_model_until_there_is_a_better_one(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m.safetensors"
    run(folder, out)
    before = out.read_bytes()
    with pytest.raises(Stop):
        run(folder, out, existing="overwrite", cut_at=1)
    assert out.read_bytes() == before
    with pytest.raises(BigUNetError):
        run(folder / "nowhere", out, existing="overwrite")
    assert out.read_bytes() == before


def test_a_run_that_stopped_early_stops_when_it_goes_on(folder: Path, tmp_path: Path) -> None:
    def patient(out: Path, existing: str, *, cut: bool) -> int:
        def on_event(event: TrainEvent) -> None:
            if cut and isinstance(event, Validated) and event.step == 6:
                raise Stop

        return train(
            folder / "images",
            folder / "labels",
            out=out,
            options=OPTIONS,
            recipe=quick(steps=500, learning_rate=1e-12, patience=2),
            existing=existing,  # type: ignore[arg-type]
            on_event=on_event,
        ).steps

    out = tmp_path / "m.safetensors"
    with pytest.raises(Stop):
        patient(out, "refuse", cut=True)
    assert patient(out, "resume", cut=False) == 6


@pytest.mark.parametrize("what", ["loss", "scores"])
def test_a_network_that_diverges_leaves_the_last_good_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    out = tmp_path / "m.safetensors"
    steps = itertools.count(1)

    def exploding(scores: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
        loss = weighted_cross_entropy(scores, classes, weights)
        if next(steps) < 4:
            return loss
        # A NaN gradient makes the weights NaN, and then the scores of the validation.
        return loss * math.nan if what == "loss" else loss + (scores * math.nan).sum().nan_to_num()

    monkeypatch.setattr("bigunet.training.loop.weighted_cross_entropy", exploding)
    with pytest.raises(TrainingError, match=r"the model of step 2 is kept as .*m\.safetensors"):
        train(folder / "images", folder / "labels", out=out, options=OPTIONS, recipe=quick())
    assert all(t.isfinite().all() for t in load_model(out).module.state_dict().values())


@pytest.mark.slow
def test_a_process_that_is_killed_goes_on_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    def command(out: Path, *more: str) -> list[str]:
        numbers = "--width 4 --depth 1 --batch 2 --patch 24 --steps 40 --validate-every 5"
        options = [*numbers.split(), "--optimiser", "adamw", "--out", str(out), *more]
        return [str(BIGUNET), "train", str(folder / "images"), str(folder / "labels"), *options]

    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    subprocess.run(command(whole), check=True, capture_output=True)
    with subprocess.Popen(
        command(killed), stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        drawn = tmp_path / "killed.training" / "curves.png"  # after the checkpoint of step 5
        deadline = time.monotonic() + 120
        while not drawn.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "killed.training" / "checkpoint.safetensors").exists()
    subprocess.run(command(killed, "--resume"), check=True, capture_output=True)
    first, second = (load_model(path).module.state_dict() for path in (whole, killed))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=0, atol=0)
