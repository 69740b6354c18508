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
from bigunet.segmentation.plan.on_worker import on_a_worker
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.shapes import tile_candidates
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.tile_choice import TileCost
from bigunet.tiling import Tiling

# Number of sizes; each may take half the memory of the one before.
_SIZES = 4
_PASSES = 2


def tuned(
    plan: SegmentPlan, client: Client | None = None, *, workers_per_host: int = 1
) -> SegmentPlan:
    """The plan with the fastest tiles, measured on a worker of ``client`` or in this process.

    Scores of different tile shapes differ by the rounding of the precision. So a few labels may
    depend on the measurement. A resumed run keeps its tiles.

    Raises
    ------
    ClusterError
        If the worker was lost.
    BigUNetError
        If the network cannot be run, the same error as in the run.
    """
    candidates = _candidates(plan)
    if len(candidates) < 2:
        return plan
    choices = DeviceChoices(
        plan.options.device,
        plan.options.backend,
        plan.precision,
        workers_per_host,
        plan.options.convolution,
    )
    shapes = [candidate.input[-plan.network_axes :] for candidate in candidates]
    taken = (
        pass_seconds(plan.model, choices, shapes)
        if client is None
        else on_a_worker(client, pass_seconds, plan.model, choices, shapes, what="measuring tiles")
    )
    of_block = [
        candidate.count * seconds if seconds is not None else float("inf")
        for candidate, seconds in zip(candidates, taken)
    ]
    best = candidates[int(np.argmin(of_block))]
    return replace(
        plan,
        options=replace(plan.options, tile_shape=best.tile[-plan.network_axes :]),
        tiling=Tiling(plan.tiling.field, best.tile),
    )


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


def _candidates(plan: SegmentPlan) -> list[TileCost]:
    """The tiles of least time for each memory size, each input shape once."""
    block = plan.grid.box((0,) * plan.region.ndim)
    limit = plan.share.pass_bytes(plan.block_memory_bytes())
    best: dict[Point, TileCost] = {}
    for halvings in range(_SIZES):
        candidates = tile_candidates(
            plan.model,
            plan.tiling.field,
            block,
            precision=plan.precision,
            limit_bytes=limit >> halvings,
            on_gpu=plan.share.on_gpus,
        )
        best.setdefault(candidates[0].input, candidates[0])
    return list(best.values())
