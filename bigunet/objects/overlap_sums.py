"""Overlaps of all blocks together, summed while they come."""

from __future__ import annotations

from collections.abc import Iterable

from bigunet.errors import GeometryError
from bigunet.objects.overlaps import BlockOverlaps, Overlaps, summed

_AT_ONCE = 2**22
"""Pairs that wait until they are summed: 96 MiB."""


def sum_overlaps(blocks: Iterable[BlockOverlaps], num_links: int) -> tuple[Overlaps, ...]:
    """The overlaps of all blocks for each link: each pair once, in the order of its ids.

    Memory holds each pair once, and some million pairs of blocks, or as many as there are.

    Raises
    ------
    GeometryError
        If a block has not counted for each link.
    """
    sums = [_Sum() for _ in range(num_links)]
    for block in blocks:
        if len(block.of_links) != num_links:
            raise GeometryError(
                f"a block has overlaps of {len(block.of_links)} links, and there are {num_links}; "
                "count them again"
            )
        for one, overlaps in zip(sums, block.of_links):
            one.add(overlaps)
    return tuple(one.result() for one in sums)


class _Sum:
    """Overlaps that are summed when those that wait are more than those that are summed."""

    def __init__(self) -> None:
        self._parts = [summed([])]
        self._num_waiting = 0

    def add(self, overlaps: Overlaps) -> None:
        self._parts.append(overlaps)
        self._num_waiting += overlaps.num_pairs
        if self._num_waiting > max(_AT_ONCE, self._parts[0].num_pairs):
            self.result()

    def result(self) -> Overlaps:
        self._parts, self._num_waiting = [summed(self._parts)], 0
        return self._parts[0]
