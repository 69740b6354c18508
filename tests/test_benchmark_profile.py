"""Where the time of a run went, from its ledger."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_profile import PARTS, RunProfile

_TIMES = st.floats(0, 10, allow_subnormal=False)
_NAMES = ("room_wait", "read", "device_wait", "compute", "write")


@st.composite
def _records(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Blocks of some threads, one after the other in each thread, with pauses."""
    records = []
    for worker in range(draw(st.integers(1, 2))):
        for thread in range(draw(st.integers(1, 3))):
            now = draw(_TIMES)
            for _ in range(draw(st.integers(1, 3))):
                times = {f"{name}_seconds": draw(_TIMES) for name in _NAMES}
                stage = draw(st.sampled_from(("segment", "downsample1")))
                seconds = sum(times.values()) + draw(_TIMES)
                one = {"stage": stage, "worker": f"w{worker}", "thread": thread, "begun": now}
                records.append(one | times | {"seconds": seconds})
                now += seconds + draw(_TIMES)
    return records


@given(_records())
def test_the_parts_of_a_run_add_up_to_the_time_of_its_threads(
    records: list[dict[str, Any]],
) -> None:
    profile = RunProfile.of("x", records)
    assert tuple(profile.parts) == PARTS
    assert min(profile.parts.values()) >= 0
    assert sum(profile.parts.values()) == pytest.approx(profile.seconds * profile.threads)
    segmented = [r for r in records if r["stage"] == "segment"]
    for part, name in (("reading", "read"), ("computing", "compute"), ("writing", "write")):
        expected = sum(r[f"{name}_seconds"] for r in segmented)
        assert profile.parts[part] == pytest.approx(expected)


def test_the_largest_gain_is_named_and_each_is_what_its_cause_costs() -> None:
    record = {"stage": "segment", "worker": "w", "thread": 0, "begun": 5.0, "seconds": 10.0}
    record |= {"read_seconds": 1.0, "compute_seconds": 6.0, "write_seconds": 2.0}
    report = {"recompute": 1.5, "flops": 6e12, "blocks": 1, "blocks_done": 1, "seconds": 11.0}
    profile = RunProfile.of("load", [record], report)
    assert profile.seconds == 11
    assert profile.parts["loading, converting, filling in, counting"] == pytest.approx(1)
    assert profile.parts["idle"] == pytest.approx(1)
    # One pass takes 4 s of the 6; at the peak, its 4e12 operations take 2 s.
    assert profile.gains(2e12) == pytest.approx(
        {
            "a device that never waits": 5,
            "no recompute": 2,
            "a forward pass at the peak of matrix products": 2,
        }
    )
    page = profile.table(2e12)
    assert "The next thing to gain: a device that never waits." in page
    assert "| computing | 6.00 | 0.545 |" in page


def test_a_ledger_without_times_is_refused() -> None:
    with pytest.raises(ValueError, match="no blocks with times: segment it anew"):
        RunProfile.of("x", [{"stage": "segment"}])
