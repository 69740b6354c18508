"""Finds blocks that the ledger calls done, but that have lost their files."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bigunet.engine.ledger import Ledger
from bigunet.io.output.block_files import files_of_blocks, sources_of_block
from bigunet.io.output.layout import PyramidLayout
from bigunet.io.output.output_image import OutputImage
from bigunet.segmentation.run.stages import stage_name

Mask = npt.NDArray[np.bool_]


def lost_blocks(outputs: Sequence[OutputImage], ledger: Ledger) -> dict[str, list[int]]:
    """Blocks that the ledger calls done, but that must be computed again; by their stage.

    A block is lost if its files differ in number or size from those in the ledger. A block of a
    later level is also lost if a block that it was made from is lost or not done: this one may
    have been lost before.

    Parameters
    ----------
    outputs : sequence of OutputImage
        All outputs of the run; they have the same layout.
    ledger : Ledger

    Raises
    ------
    OutputError
        If the outputs or the ledger cannot be read.
    """
    layout = outputs[0].layout
    lost: dict[str, list[int]] = {}
    before: Mask | None = None
    for group in range(len(layout.groups)):
        stage = stage_name(group)
        done = _done(layout, group, ledger.done(stage))
        kept = done.copy()
        if done.any():
            kept &= _has_files(outputs, group, ledger)
            if before is not None:
                kept &= _has_sources(outputs[0], group, before)
        if (gone := np.flatnonzero(done & ~kept)).size:
            lost[stage] = gone.tolist()
        before = kept.reshape(layout.grid_shape(group))
    return lost


def list_lost(lost: dict[str, list[int]]) -> str:
    """The first of the lost blocks, as text for messages."""
    numbers = [f"{stage} block {number}" for stage, blocks in lost.items() for number in blocks]
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return ", ".join(numbers[:3]) + more


def _done(layout: PyramidLayout, group: int, numbers: set[int]) -> Mask:
    done = np.zeros(math.prod(layout.grid_shape(group)), bool)
    done[list(numbers)] = True
    return done


def _has_files(outputs: Sequence[OutputImage], group: int, ledger: Ledger) -> Mask:
    stored = files_of_blocks(outputs, group)
    recorded = np.full_like(stored, -1)
    for result in ledger.results(stage_name(group)):
        recorded[result["block"]] = result["files"]
    same: Mask = (stored == recorded).all(axis=1)
    return same


def _has_sources(output: OutputImage, group: int, before: Mask) -> Mask:
    grid = output.layout.grid_shape(group)
    has = [before[sources_of_block(output, group, index)].all() for index in np.ndindex(*grid)]
    return np.array(has, bool)
