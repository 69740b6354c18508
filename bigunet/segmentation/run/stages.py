"""The stages of a run. Each begins when the one before is done.

::

    segment       each block: its classes, and the levels that one task can write with it
    holes         each block: fragments of holes, if holes are filled   }
    seeds         each block: fragments of seeds, if objects are split  }
    label         each block: fragments of objects, from the classes    } only with instances
    link          each block: overlaps between frames, with links       }
    relabel       each block: numbered objects, when all are numbered   }
    measure       each block: sums of its objects, for their table      }
    downsample1   each block of the next group of levels, and so on

After each of the stages from "holes" to "link", the process that runs them joins the fragments
of all blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bigunet.blocks import BlockGrid
from bigunet.engine.room import Room, WithRoom
from bigunet.engine.stage import Stage, Work
from bigunet.geometry import Box
from bigunet.io.files.opening import open_level
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.writer import OutputWriter
from bigunet.measuring.described import column_names
from bigunet.objects.rule import ObjectRule
from bigunet.options.choices import Output
from bigunet.segmentation.instances.fragment_ids import FragmentIds
from bigunet.segmentation.instances.label_work import (
    HoleLabelling,
    Labelling,
    LabelWork,
    ObjectLabelling,
    PieceLabelling,
    SeedLabelling,
)
from bigunet.segmentation.instances.link_work import LinkWork
from bigunet.segmentation.instances.measure_work import MeasureWork
from bigunet.segmentation.instances.object_classes import (
    ReadBox,
    StoredChannel,
    Thresholded,
    WithoutHoles,
)
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_stages import (
    HOLES,
    LABEL,
    LINK,
    SEEDS,
    last_stage,
)
from bigunet.segmentation.instances.relabel_work import RelabelWork
from bigunet.segmentation.output_kinds import MADE_OF_CLASSES
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.block import SegmentWork
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.segmentation.run.downsampling import DownsampleWork
from bigunet.segmentation.run.finite import FiniteVoxels

SEGMENT, RELABEL, MEASURE = "segment", "relabel", "measure"


def stage_name(group: int) -> str:
    """Name of the stage that writes a group of levels of the classes."""
    return f"downsample{group}" if group else SEGMENT


@dataclass(frozen=True)
class StageBuilder:
    """Makes the stages of a run.

    Parameters
    ----------
    plan : SegmentPlan
    outputs : mapping of str to OutputImage
    files : ObjectFiles
        Files between the stages that make objects.
    """

    plan: SegmentPlan
    outputs: Mapping[Output, OutputImage]
    files: ObjectFiles

    def segment(self, normalisation: FixedNormalisation, *, workers_per_host: int) -> Stage:
        """The stage that runs the network.

        Parameters
        ----------
        normalisation : FixedNormalisation
        workers_per_host : int
            Workers that share the cores of a host.
        """
        plan = self.plan
        work = SegmentWork(
            open_level(plan.image, level=plan.level, channels=plan.channels),
            {k: OutputWriter(v) for k, v in self.outputs.items() if k not in MADE_OF_CLASSES},
            grid=plan.grid,
            tiling=plan.tiling,
            selection=plan.selection,
            finite=FiniteVoxels(plan.image, plan.options, plan.channels, plan.selection),
            model=plan.model,
            grey_range=normalisation.values,
            device=DeviceChoices(
                plan.options.device,
                plan.options.backend,
                plan.precision,
                workers_per_host,
                plan.options.convolution,
                plan.slab,
            ),
            blocks_in_work=plan.share.blocks_in_work(plan.block_memory_bytes()),
        )
        return self._stage(SEGMENT, plan.grid, work)

    def objects(self, name: str) -> Stage:
        """One of the stages of :func:`object_stages`."""
        assert self.plan.objects is not None
        return self._link(self.plan.objects) if name == LINK else self._label(name)

    def _link(self, rule: ObjectRule) -> Stage:
        """The stage that counts overlaps between frames."""
        grid, files = self._grid(0), self.files.fragments(LINK).blocks
        work = LinkWork(self._ids(LABEL), rule.links, files, grid)
        return self._stage(LINK, grid, WithRoom(work, self._room()))

    def _label(self, name: str) -> Stage:
        """A stage that numbers fragments: of holes, of seeds or of objects."""
        plan, grid, files = self.plan, self._grid(0), self.files.fragments(name)
        assert plan.objects is not None
        parts = self._classes() if name == HOLES else self._filled(), plan.objects, grid.region
        labelling: Labelling = ObjectLabelling(*parts)
        if name == HOLES:
            labelling = HoleLabelling(*parts)
        elif name == SEEDS:
            labelling = SeedLabelling(*parts)
        elif plan.objects.split:
            labelling = PieceLabelling(*parts, self._ids(SEEDS))
        work = LabelWork(labelling, OutputWriter(files.array(plan.layout)), files, grid)
        return self._stage(name, grid, WithRoom(work, self._room()))

    def relabel(self) -> Stage:
        """The stage that writes the ids of the objects."""
        assert self.plan.objects is not None
        work = RelabelWork(
            classes=self._filled(),
            instances=OutputWriter(self.outputs["instances"]),
            ids=self._ids(LABEL, last_stage(self.plan.objects)),
            rule=self.plan.objects,
            grid=self._grid(0),
        )
        return self._stage(RELABEL, work.grid, WithRoom(work, self._room()))

    def measure(self) -> Stage:
        """The stage that measures the objects."""
        plan, probabilities = self.plan, self.outputs.get("probabilities")
        assert plan.objects is not None
        channels = range(plan.image.num_channels)
        work = MeasureWork(
            instances=OutputWriter(self.outputs["instances"]),
            probabilities=OutputWriter(probabilities) if probabilities else None,
            image=open_level(plan.image, level=plan.level, channels=channels),
            channel_names=column_names(plan.image),
            origin=plan.region.start,
            files=self.files.sums,
            object_class=plan.objects.object_class,
            order=plan.measuring_order,
            ndim=len(plan.object_axes),
            grid=self._grid(0),
        )
        return self._stage(MEASURE, work.grid, WithRoom(work, self._room()))

    def downsample(self) -> tuple[Stage, ...]:
        """The stages that write the other levels of all outputs, a group of levels each."""
        writers = tuple(OutputWriter(output) for output in self.outputs.values())
        groups = range(1, len(self.plan.layout.groups))
        works = [DownsampleWork(writers, group, self._grid(group)) for group in groups]
        return tuple(self._stage(stage_name(work.group), work.grid, work) for work in works)

    def _filled(self) -> ReadBox:
        """Reads the classes that objects are made of, after holes are filled."""
        rule = self.plan.objects
        assert rule is not None
        classes = self._classes()
        return WithoutHoles(classes, self._ids(HOLES), rule) if rule.fill_holes else classes

    def _classes(self) -> ReadBox:
        """Reads the classes that objects are made of."""
        rule, threshold = self.plan.objects, self.plan.options.object_threshold
        assert rule is not None
        classes = StoredChannel(OutputWriter(self.outputs["classes"]))
        if threshold is None:
            return classes
        probabilities = OutputWriter(self.outputs["probabilities"])
        of_objects = StoredChannel(probabilities, rule.object_class)
        return Thresholded(classes, of_objects, rule, threshold)

    def _ids(self, stage: str, ids_of: str = "") -> FragmentIds:
        """The ids that a stage, or a later one, gave to the fragments of a stage."""
        array = OutputWriter(self.files.fragments(stage).array(self.plan.layout))
        return FragmentIds(self.files.fragments(ids_of or stage), array, self._grid(0))

    def _room(self) -> Room:
        """Room for blocks while objects are labelled and measured; nothing is predicted then."""
        plan = self.plan
        return Room(plan.share.blocks_alone(plan.object_memory_bytes()))

    def _grid(self, group: int) -> BlockGrid:
        """Blocks of a group of levels, from voxel 0 of the output on."""
        layout = self.plan.layout
        shape = layout.levels[layout.groups[group][0]].shape
        return BlockGrid(Box.of_shape(shape), layout.block_shape(group))

    def _stage(self, name: str, grid: BlockGrid, work: Work) -> Stage:
        axes = self.plan.image.volume_axes
        return Stage(name, grid.num_blocks, grid.traversal, grid.number, work, grid, axes)
