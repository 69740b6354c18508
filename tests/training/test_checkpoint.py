"""A checkpoint brings back all that the next step depends on, or is refused with a reason."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch

from bigunet.errors import OutputError, ResumeError
from bigunet.model.networks.unet import UNet, UNetConfig
from bigunet.training.checkpoint import Learner, TrainingState, load_checkpoint, save_checkpoint
from bigunet.training.recipe import Recipe
from bigunet.training.schedule import optimiser_of

FINGERPRINT = {"recipe": {"steps": 5, "seed": 0}, "images": [("a", (3, 4))]}


def learner_of(seed: int, optimiser: str) -> Learner:
    torch.manual_seed(seed)
    module = UNet(UNetConfig(ndim=2, width=2, depth=1, batch_norm=True))
    average = copy.deepcopy(module)
    recipe = Recipe(optimiser=optimiser)  # type: ignore[arg-type]
    learner = Learner(module, average, optimiser_of(module, recipe))
    module(torch.rand(1, 1, 24, 24)).sum().backward()
    learner.optimiser.step()
    return learner


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_checkpoint_brings_back_weights_average_optimiser_and_state(
    tmp_path: Path, optimiser: str
) -> None:
    learner, other = learner_of(0, optimiser), learner_of(1, optimiser)
    state = TrainingState(7, 1.5, 0.25, 0.625, 5, 1, (0.5, 0.25))
    save_checkpoint(tmp_path / "made" / "c.safetensors", learner, state, FINGERPRINT)
    assert load_checkpoint(tmp_path / "made" / "c.safetensors", other, FINGERPRINT) == state
    for a, b in ((learner.module, other.module), (learner.average, other.average)):
        for key, tensor in a.state_dict().items():
            torch.testing.assert_close(b.state_dict()[key], tensor, rtol=0, atol=0)
    before, after = (one.optimiser.state_dict()["state"] for one in (learner, other))
    assert before.keys() == after.keys()
    for key, state in before.items():
        for name, tensor in state.items():
            torch.testing.assert_close(after[key][name], tensor, rtol=0, atol=0)


def test_a_run_that_was_begun_differently_is_refused_with_the_difference(tmp_path: Path) -> None:
    path, learner = tmp_path / "c.safetensors", learner_of(0, "sgd")
    save_checkpoint(path, learner, TrainingState(), FINGERPRINT)
    recipe = {"steps": 6, "seed": 0}
    with pytest.raises(
        ResumeError, match=r"begun differently: steps: was 5, now 6\. Give the same"
    ):
        load_checkpoint(path, learner, {**FINGERPRINT, "recipe": recipe})


@pytest.mark.parametrize(
    ("images", "difference"),
    [
        ([("a", (3, 4)), ("c", (3, 4))], r"images: was b, \[3, 4\], now c, \[3, 4\]\. "),
        ([("a", (3, 4))], r"images: were 2, now 1\. "),
    ],
)
def test_only_the_images_that_differ_are_named(
    tmp_path: Path, images: list[object], difference: str
) -> None:
    path, learner = tmp_path / "c.safetensors", learner_of(0, "sgd")
    save_checkpoint(path, learner, TrainingState(), {"images": [("a", (3, 4)), ("b", (3, 4))]})
    with pytest.raises(ResumeError, match=f"begun differently: {difference}"):
        load_checkpoint(path, learner, {"images": images})


def test_a_checkpoint_has_the_mode_of_other_files(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.safetensors", learner_of(0, "sgd"), TrainingState(), FINGERPRINT)
    (tmp_path / "other").write_text("")
    modes = [(tmp_path / name).stat().st_mode for name in ("c.safetensors", "other")]
    assert modes[0] == modes[1]


def test_a_missing_or_damaged_checkpoint_is_an_error(tmp_path: Path) -> None:
    path, learner = tmp_path / "c.safetensors", learner_of(0, "sgd")
    with pytest.raises(ResumeError, match=r"no checkpoint .* to go on from"):
        load_checkpoint(path, learner, FINGERPRINT)
    save_checkpoint(path, learner, TrainingState(), FINGERPRINT)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResumeError, match="not a readable checkpoint"):
        load_checkpoint(path, learner, FINGERPRINT)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the checkpoint"):
        save_checkpoint(
            tmp_path / "file" / "c.safetensors", learner_of(0, "sgd"), TrainingState(), {}
        )


def test_the_state_follows_steps_and_validations() -> None:
    state = TrainingState().advanced(0.5, 2.0, 1.0).advanced(0.25, 2.0, 0.0)
    assert (state.step, state.seconds, state.losses) == (2, 4.0, (0.5, 0.25))
    better = state.scored(0.7)
    assert (better.best_score, better.best_step, better.stale) == (0.7, 2, 0)
    worse = better.advanced(0.1, 1.0, 0.0).scored(0.6)
    assert (worse.best_step, worse.stale) == (2, 1)
    # An equal score counts as the best, but the best score has not risen.
    equal = worse.scored(0.7)
    assert (equal.best_step, equal.stale) == (3, 2)
    assert state.without_losses().losses == ()
    assert math.isnan(state.scored(math.nan).best_score)
