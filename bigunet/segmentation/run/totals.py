"""Sums over the finished blocks of a run, from its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bigunet.engine.ledger import Ledger
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.stages import SEGMENT


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all finished blocks, also those of earlier runs and of other parts.

    Parameters
    ----------
    class_shares : mapping of str to float
        Share of the voxels of each class, 0 to 1.
    bytes_read : int
        Bytes of the pixels that were read, uncompressed, with halos.
    tiles_computed : int
        Tiles that went through the network.
    compute_seconds : float
        Time in which a device computed, summed over all workers.
    device, backend : str
        Where the network ran, and what computed it; empty if no block needed the network.
    smaller_tile : tuple of int
        Tile shape to which the run had to go down because memory ended; empty if it had not.
    """

    class_shares: Mapping[str, float]
    bytes_read: int
    tiles_computed: int
    compute_seconds: float
    device: str
    backend: str
    smaller_tile: tuple[int, ...]

    @classmethod
    def of(cls, plan: SegmentPlan, ledger: Ledger) -> Totals:
        """Add up the results that a ledger holds."""
        names = [c.name for c in plan.model.description.classes]
        counts = [0] * len(names)
        bytes_read, tiles_computed, compute_seconds, device, backend = 0, 0, 0.0, "", ""
        smaller_tile: list[int] = []
        for result in ledger.results(SEGMENT):
            counts = [a + b for a, b in zip(counts, result["counts"])]
            bytes_read += result["bytes_read"]
            tiles_computed += result["tiles_computed"]
            compute_seconds += result["compute_seconds"]
            device = result["device"] or device
            backend = result["backend"] or backend
            smaller_tile = result.get("smaller_tile", smaller_tile)
        total = max(sum(counts), 1)
        return cls(
            class_shares={name: count / total for name, count in zip(names, counts)},
            bytes_read=bytes_read,
            tiles_computed=tiles_computed,
            compute_seconds=compute_seconds,
            device=device,
            backend=backend,
            smaller_tile=tuple(smaller_tile),
        )
