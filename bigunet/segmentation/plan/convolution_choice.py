"""Chooses how convolutions are computed: measured on a worker, once for a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from distributed import Client

from bigunet.geometry import Box, Point
from bigunet.io.files.opening import open_level
from bigunet.model.inference.backend import network_in
from bigunet.model.inference.convolution import has_winograd, usual_layers
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.layer_choice import chosen_convolution
from bigunet.model.model import Model
from bigunet.model.networks.network import Network
from bigunet.options.convolution_kind import DIRECT
from bigunet.segmentation.plan.on_worker import on_a_worker
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.tiling import Tiling

# Operations of a run that is worth it: with fp32 on two cores, two minutes. Measuring takes some
# ten seconds.
_LEAST_FLOPS = 20_000_000_000_000
_MEASURED_FLOPS = 100_000_000_000


def with_measured_convolution(
    plan: SegmentPlan, grey_range: GreyRange, client: Client, *, workers_per_host: int
) -> SegmentPlan:
    """The plan with convolutions by Winograd's method, for layers where a worker is faster so.

    Parameters
    ----------
    plan : SegmentPlan
    grey_range : GreyRange
        The grey range of the run.
    client : distributed.Client
    workers_per_host : int
        Workers that share the cores of a host.

    Raises
    ------
    ClusterError
        If the worker was lost.
    BigUNetError
        If the network cannot be run, the same error as in the run.
    """
    if not _is_worth_it(plan) or not all(client.run(has_winograd).values()):
        return plan
    choices = DeviceChoices(
        plan.options.device, plan.options.backend, plan.precision, workers_per_host
    )
    shape = next(plan.tiling.tiles(plan.grid.box((0,) * plan.region.ndim))).input.shape
    choice = on_a_worker(
        client, _measured, plan.model, choices, grey_range, _middle_tile(plan),
        shape[-plan.network_axes :], what="measuring convolutions",
    )  # fmt: skip
    return replace(plan, options=replace(plan.options, convolution=choice))


def _is_worth_it(plan: SegmentPlan) -> bool:
    """Whether Winograd's method may be faster, by more than it takes to measure it."""
    options = plan.options
    possible = (
        plan.precision == "fp32"
        and options.device in ("auto", "cpu")
        and options.backend in ("auto", "torch")
        and not plan.slab
        and isinstance(network_in(plan.model.module), Network)
        and has_winograd()
    )
    if not (possible and plan.exact) or (plan.total_flops() or 0) < _LEAST_FLOPS:
        return False
    return bool(usual_layers(plan.model.module))


def _measured(
    model: Model, choices: DeviceChoices, grey_range: GreyRange, tile: np.ndarray, shape: Point
) -> str:
    """The choice of a worker; nothing is measured if it has a GPU."""
    if choices.resolved_device() != "cpu":
        return DIRECT

    def predictor_of(convolution: str) -> Predictor:
        return replace(choices, convolution=convolution).predictor(model, grey_range)

    threads = choices.take_cores()
    return chosen_convolution(model, predictor_of, tile, shape, threads=threads)


def _middle_tile(plan: SegmentPlan) -> np.ndarray:
    """Grey values from the middle of the region, (channel, *space), for a short pass."""
    ndim, field = plan.network_axes, plan.tiling.field
    stride = field.stride
    kept = tuple(length if axis >= field.ndim - ndim else 1 for axis, length in enumerate(stride))
    while (plan.pass_flops(field.input_shape(_doubled(kept, ndim))[-ndim:]) or 0) < _MEASURED_FLOPS:
        kept = _doubled(kept, ndim)
    middle = [(a + b) // 2 for a, b in zip(plan.region.start, plan.region.stop)]
    start = tuple(n // step * step for n, step in zip(middle, stride))
    box = Box(start, tuple(a + n for a, n in zip(start, kept)))
    tile = next(Tiling(field, kept).tiles(box))
    reader = open_level(plan.image, level=plan.level, channels=plan.channels)
    pixels = reader.read(tile.input)
    return np.ascontiguousarray(pixels.reshape(len(pixels), *pixels.shape[-ndim:]))


def _doubled(kept: Point, ndim: int) -> Point:
    return (*kept[:-ndim], *(2 * n for n in kept[-ndim:]))
