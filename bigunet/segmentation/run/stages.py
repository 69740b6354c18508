"""The stages of a segmentation: one that segments, then one per further group of levels."""

from __future__ import annotations

from collections.abc import Mapping

from bigunet.blocks import BlockGrid
from bigunet.choices import Output
from bigunet.engine.stage import Stage, Work
from bigunet.geometry import Box
from bigunet.io.images.multiscale import Axis, Multiscale
from bigunet.io.images.volume import VolumeReader
from bigunet.io.output.output_image import OutputClass, OutputImage, Placement
from bigunet.io.output.writer import OutputWriter
from bigunet.segmentation.place import INSIDE_GROUP, Place
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.plan import SegmentPlan
from bigunet.segmentation.run.block import DownsampleWork, SegmentWork
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.segmentation.run.finite import FiniteVoxels

SEGMENT = "segment"


def stage_name(group: int) -> str:
    """Of the stage that writes a group of levels, on the dashboard and in the ledger."""
    return f"downsample{group}" if group else SEGMENT


def describe_outputs(plan: SegmentPlan, place: Place) -> dict[Output, OutputImage]:
    """The images that the run writes, as nothing but names and numbers."""
    return {output: _describe(plan, place, output) for output in plan.options.outputs}


def build_stages(
    plan: SegmentPlan,
    outputs: Mapping[Output, OutputImage],
    normalisation: FixedNormalisation,
    *,
    workers_per_host: int,
) -> tuple[Stage, ...]:
    """What is run, in this order."""
    writers = {name: OutputWriter(output) for name, output in outputs.items()}
    work = SegmentWork(
        VolumeReader(plan.image, level=plan.level, channels=plan.channels),
        writers,
        grid=plan.grid,
        tiling=plan.tiling,
        wanted=plan.wanted,
        finite=FiniteVoxels(plan.image, plan.options, plan.channels, plan.wanted),
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


def _describe(plan: SegmentPlan, place: Place, output: Output) -> OutputImage:
    classes = tuple(OutputClass(c.name, c.rgba) for c in plan.model.description.classes)
    # OME-Zarr wants time first; a bare array may have it anywhere.
    kept = (axis for axis in plan.image.axes if axis.name != "c")
    axes = tuple(sorted(kept, key=lambda axis: axis.type != "time"))
    level = plan.level
    scale = plan.image.volume_scale(level)
    translation = tuple(
        t + s * start
        for t, s, start in zip(plan.image.volume_translation(level), scale, plan.region.start)
    )
    is_label = output == "classes"
    return OutputImage(
        store=place.store,
        group=INSIDE_GROUP if is_label else "probabilities",
        kind="label" if is_label else "image",
        dtype="uint8",
        axes=axes if is_label else _with_channel(axes),
        layout=plan.layout,
        num_channels=1 if is_label else len(classes),
        scale=scale,
        translation=translation,
        version=place.version,
        classes=classes,
        placements=_placements(plan.image) if place.inside_image else (),
    )


def _placements(image: Multiscale) -> tuple[Placement, ...]:
    """What the image states of its own levels, which need not be what their shapes suggest."""
    levels = range(len(image.levels))
    return tuple((image.volume_scale(k), image.volume_translation(k)) for k in levels)


def _with_channel(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The axes with a channel where OME-Zarr wants it: after time, before space."""
    after = sum(axis.type == "time" for axis in axes)
    return (*axes[:after], Axis("c", "channel"), *axes[after:])
