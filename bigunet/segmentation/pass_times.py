"""Measures forward passes on this machine for a forecast, within a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bigunet.geometry import Point
from bigunet.model.inference.forward import Predictor
from bigunet.receptive import ReceptiveField
from bigunet.segmentation.plan.pass_costs import pass_cost
from bigunet.segmentation.plan.segment_plan import SegmentPlan

# All passes together should take no longer than this; larger tiles are estimated from smaller ones.
_PATIENCE_SECONDS = 5.0
# What a first tile keeps, along each axis.
_FIRST = {2: 128, 3: 16}
# Passes of a shape that count, after the first one, which also compiles.
_PASSES = 2
# Shapes with so many times less work than the tile of the run may be measured in its place.
_SMALLER = (1, 2, 4, 8, 16, 32, 64)

Work = Callable[[Point], float]


@dataclass(frozen=True, slots=True)
class Timed:
    """Passes of one shape that were measured.

    Parameters
    ----------
    shape : tuple of int
        Spatial shape of the input.
    compile_seconds : float
        By how much the first pass took longer than later ones.
    seconds : float
        Time of a later pass, until its labels are on the host.
    """

    shape: Point
    compile_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class PassTimes:
    """The time of a pass of any shape: a fixed part, and one in proportion to its work.

    Parameters
    ----------
    compile_seconds : float
        Time to compile for one shape.
    pass_seconds : float
        Time of a pass without any work.
    seconds_per_work : float
    work : callable
        Work of a pass for the spatial shape of its input, in any unit.
    """

    compile_seconds: float
    pass_seconds: float
    seconds_per_work: float
    work: Work

    @classmethod
    def of(cls, timed: Sequence[Timed], work: Work) -> PassTimes:
        """The times of one or two shapes, the larger one last, as a line; it meets the last.

        The rate falls where a larger tile no longer fits the caches. Then the fixed part is 0.
        """
        last = timed[-1]
        rate = last.seconds / work(last.shape)
        if len(timed) > 1 and work(timed[0].shape) < work(last.shape):
            first = timed[0]
            slope = (last.seconds - first.seconds) / (work(last.shape) - work(first.shape))
            rate = min(max(slope, 0.0), rate)
        fixed = max(0.0, last.seconds - rate * work(last.shape))
        return cls(last.compile_seconds, fixed, rate, work)

    def seconds(self, shape: Point) -> float:
        """Time of a pass for the spatial shape of its input."""
        return self.pass_seconds + self.seconds_per_work * self.work(shape)


def pass_times(plan: SegmentPlan, predictor: Predictor, whole: Point) -> PassTimes:
    """Measure a small tile, then the largest that the patience allows, up to that of the run.

    Parameters
    ----------
    plan : SegmentPlan
    predictor : Predictor
    whole : tuple of int
        Spatial shape of the input of a tile of the run.
    """
    ndim = plan.network_axes
    # A pass of no fixed time: its operations and its voxels, weighed as the choice of tiles does.
    cost = replace(pass_cost(plan.precision, on_gpu=plan.share.on_gpus), pass_seconds=0.0)

    def work(shape: Point) -> float:
        voxels = int(np.prod(shape))
        return cost.seconds(voxels=voxels, flops=plan.pass_flops(shape))

    field = plan.model.receptive_field
    small = field.input_shape((_FIRST[ndim],) * ndim)
    # A network that is blended may take tiles of one shape only.
    if not plan.exact or any(a > b for a, b in zip(small, whole)):
        small = whole
    begun = time.perf_counter()
    timed = [time_passes(plan, predictor, small)]
    left = _PATIENCE_SECONDS - (time.perf_counter() - begun)
    larger = largest_in_time(timed[0], similar_shapes(field, whole), work, left)
    if larger is not None:
        timed.append(time_passes(plan, predictor, larger))
    return PassTimes.of(timed, work)


def similar_shapes(field: ReceptiveField, whole: Point) -> list[Point]:
    """The shape of the run, then similar ones of less work; all are shapes that a tile may have."""
    kept = tuple(n - 2 * halo for n, halo in zip(whole, field.halo))
    shapes = [whole]
    for times in _SMALLER[1:]:
        factor = times ** (1 / len(kept))
        tile = tuple(max(s, int(n / factor) // s * s) for n, s in zip(kept, field.stride))
        shapes.append(field.input_shape(tile))
    return shapes


def largest_in_time(
    small: Timed, shapes: Sequence[Point], work: Work, left_seconds: float
) -> Point | None:
    """The first of the shapes that can be measured in the time left; None if none is larger."""
    for shape in shapes:
        times = work(shape) / work(small.shape)
        expected = small.compile_seconds + (1 + _PASSES) * times * small.seconds
        if times > 1 and expected <= left_seconds:
            return shape
    return None


def time_passes(plan: SegmentPlan, predictor: Predictor, shape: Point) -> Timed:
    """Measure passes over noise until their labels are on the host."""
    dtype = np.dtype(plan.image.level(plan.level).dtype)
    noise = np.random.default_rng(0).integers(0, 256, (len(plan.channels), *shape), np.uint8)
    inner = (slice(None),) * len(shape)
    seconds = []
    for _ in range(1 + _PASSES):
        begun = time.perf_counter()
        predictor.predict(
            noise.astype(dtype), inner, probabilities="probabilities" in plan.options.outputs
        )
        seconds.append(time.perf_counter() - begun)
    steady = min(seconds[1:])
    return Timed(shape, max(0.0, seconds[0] - steady), steady)
