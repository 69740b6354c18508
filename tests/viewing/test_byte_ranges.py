"""Parts of a body that a request asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bigunet.viewing.byte_ranges import byte_range

SIZES = st.integers(0, 40)
BODY = bytes(range(40))


@given(first=SIZES, last=SIZES, size=SIZES)
def test_a_range_is_the_bytes_from_the_first_to_the_last_that_exist(
    first: int, last: int, size: int
) -> None:
    asked = byte_range(f"bytes={first}-{last}", size)
    expected = bytes(b for b in BODY[:size] if first <= b <= last)
    if last < first:
        assert asked == (0, size)
    elif not expected:
        assert asked is None
    else:
        assert asked is not None
        assert BODY[:size][slice(*asked)] == expected


@given(count=SIZES, size=SIZES)
def test_a_range_without_a_first_byte_counts_from_the_end(count: int, size: int) -> None:
    asked = byte_range(f"bytes=-{count}", size)
    assert (asked is None) == (min(count, size) == 0)
    if asked is not None:
        assert BODY[:size][slice(*asked)] == BODY[:size][-count:]


@given(header=st.sampled_from(["", "bytes=-", "bytes=1-2,4-5", "lines=1-2", "bytes=x-y"]))
def test_what_is_no_single_range_asks_for_all(header: str) -> None:
    assert byte_range(header, 7) == (0, 7)
