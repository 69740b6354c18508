"""Which bytes of a body a request asks for; it knows no server."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The start and the stop of the bytes that a ``Range`` header asks for.

    All bytes where there is no header, or one that servers may ignore: other units, and several
    ranges. None where no asked byte exists, which is the answer 416.

    >>> byte_range("bytes=2-4", 10), byte_range("bytes=-3", 10), byte_range("bytes=10-", 10)
    ((2, 5), (7, 10), None)
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return 0, size
    return (start, stop) if start < stop else None
