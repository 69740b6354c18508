"""Limits of what the metadata of an image may list; a longer list is refused before it is read.

Each limit is far above the images of microscopes, and low enough that a list of this length takes
seconds to read, not hours.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from bigunet.errors import ImageError

MAX_CHANNELS = 10_000
MAX_LEVELS = 100
MAX_TRANSFORMS = 100
MAX_WELLS = 10_000
MAX_FIELDS = 100_000
"""Fields of a plate, in all wells together."""
MAX_NUMBERED = 1000
"""Images of a group that are named 0, 1, 2 and so on, without a list of them."""
MAX_EXTENT = 10**12
"""Voxels along one axis; sums and products of such numbers stay exact."""


def check_count(count: int, limit: int, where: str, things: str) -> None:
    """Raise an ImageError if there are more ``things`` than bigunet reads."""
    if count > limit:
        raise ImageError(f"{where}: {_short(count)} {things}; bigunet reads at most {limit}")


def check_extents(extents: Iterable[int], where: str) -> None:
    """Raise an ImageError if an axis of an array, or of its chunks, is longer than in any image."""
    largest = max(extents, default=0)
    if largest > MAX_EXTENT:
        raise ImageError(
            f"{where}: an axis of {_short(largest)} voxels; bigunet reads at most {MAX_EXTENT:.0e}"
        )


def some_of(names: Iterable[str], count: int, *, most: int = 5) -> str:
    """The first few of ``count`` names, and the number of the others.

    >>> some_of(["a", "b"], 2), some_of("abcdefg", 7)
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    first = list(itertools.islice(names, most))
    more = count - len(first)
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _short(count: int) -> str:
    return str(count) if count < 10**15 else "over 10^15"
