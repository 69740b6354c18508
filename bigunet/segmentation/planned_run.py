"""Fixes what must not change after the first block: the plan, the grey range, the record."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bigunet.events import OnEvent
from bigunet.options.choices import SlabChoice
from bigunet.options.convolution_kind import AUTO
from bigunet.segmentation.notices import warn
from bigunet.segmentation.plan.fit import Fit, check_fit
from bigunet.segmentation.plan.normalisation import FixedNormalisation, fix_normalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.stain import check_stain
from bigunet.segmentation.request import SegmentRequest
from bigunet.segmentation.run.record import RunRecord
from bigunet.segmentation.run.target import check_target


@dataclass(frozen=True)
class PlannedRun:
    """What a run will do, before any worker is started.

    Parameters
    ----------
    plan : SegmentPlan
    normalisation : FixedNormalisation
    fit : Fit
        Whether image, grey range and model fit one another.
    tune : bool
        Whether the tiles are still to be measured on the workers.
    measure_convolution : bool
        Whether the convolutions are still to be measured on the workers.
    slab : int or "auto"
        What the user asks for; the plan has a number.
    """

    plan: SegmentPlan
    normalisation: FixedNormalisation
    fit: Fit
    tune: bool
    measure_convolution: bool = False
    slab: SlabChoice = "auto"


def plan_run(request: SegmentRequest, on_event: OnEvent | None = None) -> PlannedRun:
    """Plan a run, see that its place may be written, measure the grey range, and warn.

    Parameters
    ----------
    request : SegmentRequest
    on_event : callable, optional
        Receives the warnings; without it they go to the log.

    Raises
    ------
    BigUNetError
        If the request cannot be fulfilled.
    """
    plan = request.make_plan()
    check_target(
        request.place,
        plan.image.url,
        existing=request.existing,
        read=request.options.read_besides,
    )
    normalisation, bulk = fix_normalisation(plan)
    check_stain(plan, normalisation, bulk)
    fit = check_fit(plan, normalisation, bulk)
    for line in (*plan.image.notes, *fit.warnings):
        warn(line, on_event)
    tune = request.options.tune and not request.completed_options().tile_shape
    # Each part would measure its own.
    measure = request.completed_options().convolution == AUTO and request.part is None
    return PlannedRun(plan, normalisation, fit, tune, measure, request.options.slab)


def open_record(request: SegmentRequest, planned: PlannedRun) -> tuple[PlannedRun, RunRecord]:
    """The record of the run. A part begins the record of all parts, or takes over its choices.

    Returns
    -------
    PlannedRun
        The plan that all parts share; the given plan if there are no parts.
    RunRecord
    """
    record = RunRecord.of(request.place, planned.plan, planned.normalisation)
    if request.part is None or record.join():
        return planned, record
    # Another part began the run in the meantime, and its choices hold for all parts.
    planned = replace(planned, plan=request.make_plan())
    return planned, RunRecord.of(request.place, planned.plan, planned.normalisation)
