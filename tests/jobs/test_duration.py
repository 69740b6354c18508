"""Lengths of time: every form that people and Slurm write is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import OptionError
from bigunet.jobs.duration import clock, parse_duration


@pytest.mark.parametrize(
    ("text", "bare", "seconds"),
    [
        ("2h", "min", 7200),
        ("90min", "h", 5400),
        ("1.5", "h", 5400),
        ("1.5", "min", 90),
        ("2d", "h", 172800),
        ("0.1s", "h", 1),
        ("30:05", "h", 1805),  # in Slurm minutes and seconds
        ("1:30:00", "min", 5400),
        ("1-12", "min", 129600),
        ("1-12:30", "min", 131400),
        ("1-12:30:15", "min", 131415),
    ],
)
def test_times_are_read_as_people_and_slurm_write_them(text: str, bare: str, seconds: int) -> None:
    assert parse_duration(text, bare=bare) == seconds


@given(st.integers(1, 10**7))
def test_a_time_that_is_written_for_slurm_reads_back_the_same(seconds: int) -> None:
    assert parse_duration(clock(seconds), bare="min") == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-1h", "1:2:3:4", "1-", "2 weeks", "0:00:00"])
def test_text_that_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is not a length of time"):
        parse_duration(text, bare="h")
