"""A run by the clock validates on the voxels that fit its time; a run of steps on all voxels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.discs import discs, sample_of

from bigunet.training.run.budget import WHOLE, Budget, seen_voxels

SAMPLES = [sample_of(discs((60, 50), seed=k), url=f"{k}") for k in range(9)]


def test_a_run_of_steps_has_no_limit() -> None:
    budget = Budget(0, spent=1e9)
    assert budget.part_of(SAMPLES, 24**2) == (SAMPLES, WHOLE)
    assert budget.allows_another(0)


@given(st.integers(1, 10**6), st.integers(1, 10**5))
def test_validation_keeps_to_the_limit_or_to_one_patch(voxels: int, patch: int) -> None:
    budget = Budget(2, voxels=voxels)
    chosen, most = budget.part_of(SAMPLES, patch)
    assert 1 <= len(chosen) <= len(SAMPLES)
    assert len({sample.image.url for sample in chosen}) == len(chosen)
    assert seen_voxels(chosen, most) <= max(voxels, patch)


@pytest.mark.parametrize(("minutes", "seconds"), [(0.5, 5), (2, 6), (60, 180)])
def test_a_validation_takes_a_twentieth_of_the_run_or_5_seconds(
    minutes: float, seconds: float
) -> None:
    assert Budget(minutes).seconds == pytest.approx(seconds)


def test_validations_before_the_last_take_a_fifth_of_the_time_together() -> None:
    budget = Budget(2, spent=10)
    assert budget.allows_another(51)
    assert not budget.allows_another(49)
