"""Which blocks are asked for, by how many, and which is next: the latest. It knows no workers."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from bigunet.engine.stage import Index


@dataclass(frozen=True, eq=False, slots=True)
class Wish:
    """One request of a block.

    Parameters
    ----------
    index : tuple of int
        The block.
    future : concurrent.futures.Future
        Done when the block is.
    """

    index: Index
    future: Future[None]


class Wishes:
    """Requests of blocks that are not done. A block that has begun stays until it ends."""

    def __init__(self) -> None:
        # The block that was asked for last comes last.
        self._wishes: dict[Index, list[Wish]] = {}
        self._begun: set[Index] = set()

    def add(self, wish: Wish) -> None:
        """Add a request; its block is next, unless it has begun."""
        others = self._wishes.pop(wish.index, [])
        self._wishes[wish.index] = [*others, wish]

    def drop(self, wish: Wish) -> None:
        """Take a request back; a block without requests is left out, unless it has begun."""
        left = [one for one in self._wishes.get(wish.index, ()) if one is not wish]
        if left or wish.index in self._begun:
            if wish.index in self._wishes:
                self._wishes[wish.index] = left
        else:
            self._wishes.pop(wish.index, None)

    def take(self) -> Index | None:
        """Begin the block that was asked for last; None if there is none that has not begun."""
        waiting = (index for index in reversed(self._wishes) if index not in self._begun)
        index = next(waiting, None)
        if index is not None:
            self._begun.add(index)
        return index

    def end(self, index: Index) -> list[Wish]:
        """End a block; the requests that it answers."""
        self._begun.discard(index)
        return self._wishes.pop(index, [])

    def end_all(self) -> list[Wish]:
        """End all blocks; their requests."""
        wishes = [wish for of_block in self._wishes.values() for wish in of_block]
        self._wishes.clear()
        self._begun.clear()
        return wishes
