"""Measures which tiles are fastest: it runs the cheapest tiles of several sizes on a worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from distributed import Client

from bigunet.geometry import Point
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.model import Model
from bigunet.options.choices import SlabChoice
from bigunet.segmentation.plan.on_worker import on_a_worker
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.shapes import tile_candidates
from bigunet.segmentation.plan.slabs import slab_choices
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.tile_choice import TileCost
from bigunet.tiling import Tiling

# Number of sizes; each may take half the memory of the one before.
_SIZES = 4
_PASSES = 2


def tuned(
    plan: SegmentPlan,
    client: Client | None = None,
    *,
    workers_per_host: int = 1,
    slab: SlabChoice = "auto",
) -> SegmentPlan:
    """The plan with the fastest tiles, measured on a worker of ``client`` or in this process.

    Scores of different tile shapes differ by the rounding of the precision. So a few labels may
    depend on the measurement. A resumed run keeps its tiles. ``slab`` is the choice of the user.

    Raises
    ------
    ClusterError
        If the worker was lost.
    BigUNetError
        If the network cannot be run, the same error as in the run.
    """
    candidates = _candidates(plan, slab)
    if len(candidates) < 2:
        return plan
    taken = _seconds_of(plan, candidates, client, workers_per_host)
    of_block = [
        candidate.count * seconds if seconds is not None else float("inf")
        for candidate, seconds in zip(candidates, taken)
    ]
    best = candidates[int(np.argmin(of_block))]
    return replace(
        plan,
        options=replace(plan.options, tile_shape=best.tile[-plan.network_axes :], slab=best.slab),
        tiling=Tiling(plan.tiling.field, best.tile),
    )


def _seconds_of(
    plan: SegmentPlan, candidates: Sequence[TileCost], client: Client | None, workers_per_host: int
) -> list[float | None]:
    """Seconds of a pass for each candidate; those of one slab are measured together."""
    taken: list[float | None] = [None] * len(candidates)
    for slab in {candidate.slab for candidate in candidates}:
        places = [place for place, one in enumerate(candidates) if one.slab == slab]
        choices = DeviceChoices(
            plan.options.device,
            plan.options.backend,
            plan.precision,
            workers_per_host,
            plan.options.convolution,
            slab,
        )
        shapes = [candidates[place].input[-plan.network_axes :] for place in places]
        measured = (
            pass_seconds(plan.model, choices, shapes)
            if client is None
            else on_a_worker(
                client, pass_seconds, plan.model, choices, shapes, what="measuring tiles"
            )
        )
        for place, seconds in zip(places, measured):
            taken[place] = seconds
    return taken


def pass_seconds(
    model: Model, choices: DeviceChoices, shapes: Sequence[Point]
) -> list[float | None]:
    """Seconds of a forward pass for each shape, with its labels; None if memory ended.

    Parameters
    ----------
    model : Model
    choices : DeviceChoices
    shapes : sequence of tuple of int
        Spatial shapes of the input of the network.
    """
    grey = GreyRange((0.0,) * model.in_channels, (255.0,) * model.in_channels)
    predictor = choices.predictor(model, grey)
    best_seconds: list[float | None] = []
    for shape in shapes:
        noise = np.random.default_rng(0).integers(0, 256, (model.in_channels, *shape), np.uint8)
        inner = (slice(None),) * len(shape)
        seconds = []
        try:
            # The first pass also compiles, so that it does not count.
            for _ in range(1 + _PASSES):
                begun = time.perf_counter()
                predictor.predict(noise, inner)
                seconds.append(time.perf_counter() - begun)
        except MemoryError:
            seconds = []
        if not seconds:
            predictor.free_memory()
        best_seconds.append(min(seconds[1:], default=None))
    return best_seconds


def _candidates(plan: SegmentPlan, slab: SlabChoice = "auto") -> list[TileCost]:
    """The tiles of least time for each memory size, each input shape once."""
    block = plan.grid.box((0,) * plan.region.ndim)
    limit = plan.share.pass_bytes(plan.block_memory_bytes(), plan.grid.num_blocks)
    best: dict[tuple[Point, int], TileCost] = {}
    on_gpu = plan.share.on_gpus
    options = replace(plan.options, tile_shape=(), slab=slab)
    slabs = slab_choices(plan.model, options, on_gpu=on_gpu)
    for halvings in range(_SIZES):
        candidates = tile_candidates(
            plan.model,
            plan.tiling.field,
            block,
            precision=plan.precision,
            limit_bytes=limit >> halvings,
            slabs=slabs,
            on_gpu=on_gpu,
            dtype=np.dtype(plan.image.level(plan.level).dtype),
        )
        best.setdefault((candidates[0].input, candidates[0].slab), candidates[0])
    return list(best.values())
