"""Which tiles are fastest, measured: the cheapest ones of several sizes are run on a worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from distributed import Client

from bigunet.errors import BigUNetError, ClusterError
from bigunet.geometry import Point
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.model import Model
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.shapes import tile_candidates
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.tile_choice import TileCost
from bigunet.tiling import Tiling

# Each has half the memory of the one before.
_SIZES = 4
_PASSES = 2


def tuned(
    plan: SegmentPlan, client: Client | None = None, *, workers_per_host: int = 1
) -> SegmentPlan:
    """The plan with the tiles that took least time, on a worker of ``client`` or in this process.

    Scores differ between tile shapes within the rounding of the precision, so that a few labels
    may depend on what was measured; a run that is resumed keeps its tiles.

    Raises
    ------
    ClusterError
        If the worker was lost.
    BigUNetError
        As the run would, if the network cannot be run.
    """
    candidates = _candidates(plan)
    if len(candidates) < 2:
        return plan
    choices = DeviceChoices(
        plan.options.device, plan.options.backend, plan.precision, workers_per_host
    )
    shapes = [candidate.input[-plan.network_axes :] for candidate in candidates]
    taken = (
        pass_seconds(plan.model, choices, shapes)
        if client is None
        else _on_a_worker(client, plan.model, choices, shapes)
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
    """Seconds of one forward pass of each shape, labels included; None where memory ended.

    Parameters
    ----------
    model : Model
    choices : DeviceChoices
    shapes : sequence of tuple of int
        Spatial shapes that the network reads.
    """
    grey = GreyRange((0.0,) * model.in_channels, (255.0,) * model.in_channels)
    predictor = choices.predictor(model, grey)
    found: list[float | None] = []
    for shape in shapes:
        noise = np.random.default_rng(0).integers(0, 256, (model.in_channels, *shape), np.uint8)
        inner = (slice(None),) * len(shape)
        seconds = []
        try:
            # The first one compiles, and is not counted.
            for _ in range(1 + _PASSES):
                begun = time.perf_counter()
                predictor.predict(noise, inner)
                seconds.append(time.perf_counter() - begun)
        except MemoryError:
            seconds = []
        if not seconds:
            predictor.free_memory()
        found.append(min(seconds[1:], default=None))
    return found


def _on_a_worker(
    client: Client, model: Model, choices: DeviceChoices, shapes: Sequence[Point]
) -> list[float | None]:
    future = client.submit(pass_seconds, model, choices, shapes, pure=False)
    try:
        taken: list[float | None] = future.result()
    except BigUNetError:
        raise
    except Exception as error:
        raise ClusterError(f"measuring tiles failed on a worker: {error}") from error
    finally:
        future.release()
    return taken


def _candidates(plan: SegmentPlan) -> list[TileCost]:
    """The cheapest tiles of ever less memory, by operations, each input shape once."""
    block = plan.grid.box((0,) * plan.region.ndim)
    limit = plan.share.pass_bytes(plan.block_memory_bytes())
    best: dict[Point, TileCost] = {}
    for halvings in range(_SIZES):
        found = tile_candidates(
            plan.model,
            plan.tiling.field,
            block,
            precision=plan.precision,
            limit_bytes=limit >> halvings,
        )
        best.setdefault(found[0].input, found[0])
    return list(best.values())
