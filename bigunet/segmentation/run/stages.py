"""The stages of a segmentation: one that segments, then one per further group of levels."""

from __future__ import annotations

from collections.abc import Mapping

from bigunet.blocks import BlockGrid
from bigunet.engine.stage import Stage, Work
from bigunet.geometry import Box
from bigunet.io.images.volume import VolumeReader
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writer import OutputWriter
from bigunet.options.choices import Output
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.block import SegmentWork
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.segmentation.run.downsampling import DownsampleWork
from bigunet.segmentation.run.finite import FiniteVoxels

SEGMENT = "segment"
"""Name of the stage that segments."""


def stage_name(group: int) -> str:
    """Name of the stage that writes a group of levels, on the dashboard and in the ledger."""
    return f"downsample{group}" if group else SEGMENT


def build_stages(
    plan: SegmentPlan,
    outputs: Mapping[Output, OutputImage],
    normalisation: FixedNormalisation,
    *,
    workers_per_host: int,
) -> tuple[Stage, ...]:
    """All stages of a run, in their order.

    Parameters
    ----------
    plan : SegmentPlan
    outputs : mapping of str to OutputImage
    normalisation : FixedNormalisation
    workers_per_host : int
        Workers that share the cores of a host.
    """
    writers = {name: OutputWriter(output) for name, output in outputs.items()}
    work = SegmentWork(
        VolumeReader(plan.image, level=plan.level, channels=plan.channels),
        writers,
        grid=plan.grid,
        tiling=plan.tiling,
        selection=plan.selection,
        finite=FiniteVoxels(plan.image, plan.options, plan.channels, plan.selection),
        model=plan.model,
        grey_range=normalisation.values,
        device=DeviceChoices(
            plan.options.device, plan.options.backend, plan.precision, workers_per_host
        ),
        blocks_in_work=plan.share.blocks_in_work(plan.block_memory_bytes()),
    )
    axes = tuple(axis.name for axis in plan.image.axes if axis.name != "c")
    stages = [_stage(SEGMENT, plan.grid, work, axes)]
    for group in range(1, len(plan.layout.groups)):
        shape = plan.layout.levels[plan.layout.groups[group][0]].shape
        grid = BlockGrid(Box.of_shape(shape), plan.layout.block_shape(group))
        downsample = DownsampleWork(tuple(writers.values()), group, grid)
        stages.append(_stage(stage_name(group), grid, downsample, axes))
    return tuple(stages)


def _stage(name: str, grid: BlockGrid, work: Work, axes: tuple[str, ...]) -> Stage:
    return Stage(name, grid.num_blocks, grid.traversal, grid.number, work, grid, axes)
