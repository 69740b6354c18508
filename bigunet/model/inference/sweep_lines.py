"""What a swept network keeps between two steps: planes before a convolution, a pooling, a skip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Kind:
    """How the tensors of a sweep are stored.

    Parameters
    ----------
    dtype : torch.dtype
    device : torch.device
    layout : torch.memory_format
    """

    dtype: torch.dtype
    device: torch.device
    layout: torch.memory_format

    def empty(self, channels: int, planes: int, plane: Sequence[int]) -> Tensor:
        """New memory, (1, channel, planes, *plane)."""
        size = (1, channels, planes, *plane)
        return torch.empty(size, dtype=self.dtype, device=self.device, memory_format=self.layout)


class Line:
    """The input of a convolution: its new planes, after the last two that came before.

    Parameters
    ----------
    channels : int
    planes : int
        The most planes that come at a time.
    plane : sequence of int
        Shape of a plane.
    kind : Kind
    """

    def __init__(self, channels: int, planes: int, plane: Sequence[int], kind: Kind) -> None:
        self._planes = kind.empty(channels, planes + 2, plane)
        self._count = 0

    def room(self, count: int) -> Tensor:
        """Room for the next planes, which the caller fills."""
        start, self._count = self._count, self._count + count
        return self._planes[:, :, start : self._count]

    def through(self, convolution: Callable[[Tensor], Tensor]) -> Tensor | None:
        """The output of a valid 3-wide convolution for the planes that came; None if too few."""
        count = self._count
        if count < 3:
            return None
        output = convolution(self._planes[:, :, :count])
        # A clone, because both places may overlap.
        self._planes[:, :, :2] = self._planes[:, :, count - 2 : count].clone()
        self._count = 2
        return output


class Pooling:
    """A maximum over two voxels along each axis; it keeps a plane that has no partner yet."""

    def __init__(self) -> None:
        self._single: Tensor | None = None

    def pooled(self, planes: Tensor) -> Tensor | None:
        """The planes that are complete; None if there is none."""
        if self._single is not None:
            planes = torch.cat((self._single, planes), dim=2)
        even = planes.shape[2] // 2 * 2
        self._single = planes[:, :, even:].clone() if even < planes.shape[2] else None
        if not even:
            return None
        planes = planes[:, :, :even]
        for axis in range(2, planes.ndim):
            # Not the pooling of torch, which also makes 8 bytes of index for each voxel.
            first = (slice(None),) * axis + (slice(0, None, 2),)
            second = (slice(None),) * axis + (slice(1, None, 2),)
            planes = torch.maximum(planes[first], planes[second])
        return planes


class Skip:
    """A skip connection: cropped planes wait, in a ring, until the expanding path takes them.

    Planes come without their ReLU.

    Parameters
    ----------
    channels : int
    planes : int
        The most planes that wait.
    shape : sequence of int
        Spatial shape of all that is kept.
    crop : int
        Voxels that are cut from each side of each axis.
    kind : Kind
    """

    def __init__(
        self, channels: int, planes: int, shape: Sequence[int], *, crop: int, kind: Kind
    ) -> None:
        self._ring = kind.empty(channels, planes, shape[1:])
        self._crop, self._total = crop, shape[0]
        self._seen = self._taken = 0

    def push(self, planes: Tensor) -> None:
        """Keep the part of the next planes that is not cut off."""
        start = max(self._seen, self._crop)
        stop = min(self._seen + planes.shape[2], self._crop + self._total)
        inner = (slice(self._crop, -self._crop),) * (planes.ndim - 3)
        for first, last in self._pieces(start - self._crop, stop - self._crop):
            offset = self._crop - self._seen
            place = first % self._ring.shape[2]
            kept = planes[(slice(None), slice(None), slice(first + offset, last + offset), *inner)]
            torch.clamp_min(kept, 0, out=self._ring[:, :, place : place + last - first])
        self._seen += planes.shape[2]

    def pop(self, room: Tensor) -> None:
        """Move the planes that have waited longest to ``room``."""
        start = self._taken
        self._taken += room.shape[2]
        for first, last in self._pieces(start, self._taken):
            place = first % self._ring.shape[2]
            room[:, :, first - start : last - start] = self._ring[
                :, :, place : place + last - first
            ]

    def _pieces(self, start: int, stop: int) -> list[tuple[int, int]]:
        """A range of planes, cut where the ring ends."""
        pieces = []
        while start < stop:
            length = self._ring.shape[2]
            end = min(stop, start - start % length + length)
            pieces.append((start, end))
            start = end
        return pieces
