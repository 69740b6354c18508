"""Run a plan: write all of its blocks or those of a part, and publish the output."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from bigunet.engine.ledger import Ledger
from bigunet.engine.stage import Stage
from bigunet.errors import BusyError, OutputError
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.upkeep import remove_damaged_metadata
from bigunet.io.output.writing import sweep_partial_files
from bigunet.options.choices import Output
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_ids import write_ids
from bigunet.segmentation.instances.object_stages import WITH_ARRAY, object_stages
from bigunet.segmentation.instances.object_summary import ObjectSummary
from bigunet.segmentation.instances.object_table import has_table, write_object_table
from bigunet.segmentation.plan.content import CONTENT, check_contents, contents_of
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.outputs import create_outputs, publish
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.record import RunRecord
from bigunet.segmentation.run.stage_runner import StageRunner
from bigunet.segmentation.run.stages import RELABEL, SEGMENT, StageBuilder
from bigunet.segmentation.run.totals import Totals
from bigunet.segmentation.run.wholeness import Lost, list_lost, lost_blocks

# A run gives up if files are lost more often than this while it writes.
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Written:
    """What a run has written.

    Parameters
    ----------
    blocks_done : int
        Blocks that this run segmented itself.
    totals : Totals
        Sums over all finished blocks, those of earlier runs and other parts included.
    objects : ObjectSummary or None
        Numbers of the objects, if they are written.
    finished : bool
        Whether the output is complete and published.
    """

    blocks_done: int
    totals: Totals
    objects: ObjectSummary | None
    finished: bool


@dataclass(frozen=True)
class Run:
    """A plan, its place and its workers: writes all blocks, or those of a part.

    Parameters
    ----------
    plan : SegmentPlan
    normalisation : FixedNormalisation
    record : RunRecord
    stage_runner : StageRunner
    """

    plan: SegmentPlan
    normalisation: FixedNormalisation
    record: RunRecord
    stage_runner: StageRunner

    def write_all(self, ledger: Ledger) -> Written:
        """Write all blocks that are not done, then publish the output.

        Raises
        ------
        OutputError
            If files of finished blocks are lost again and again, or the output is moved away.
        ResumeError
            If the image changed during the run: then nothing is published.
        """
        place, num_done = self.record.place, 0
        for attempt in range(_ATTEMPTS + 1):
            lost = self.mend(ledger, last=attempt == _ATTEMPTS)
            if not lost and attempt:
                break
            num_done += self._write_outputs(ledger)
        self._check_contents(ledger)
        if not self._has_table():
            write_object_table(self.plan, place, self._files)
        publish(self._create(), self.plan, self.normalisation, place)
        self._files.remove()
        return Written(num_done, Totals.of(self.plan, ledger), self._summary(), finished=True)

    def mend(self, ledger: Ledger, *, last: bool = False) -> Lost:
        """Remove what killed writers left, and forget blocks that have lost their files.

        Parameters
        ----------
        ledger : Ledger
        last : bool
            Whether to give up if blocks are lost.

        Returns
        -------
        dict
            The blocks that must be computed again, by stage.
        """
        for folder in self.record.place.label_folders:
            sweep_partial_files(folder)
            remove_damaged_metadata(folder)
        lost = self._lost(ledger)
        if lost:
            self._forget(lost, ledger, last=last)
        return lost

    def _write_outputs(self, ledger: Ledger) -> int:
        """Run all stages; the number of blocks that were segmented."""
        if self.plan.objects is None:
            return self._run_stages((self.segment_stage(), *self._stages().downsample()), ledger)
        num_done = 0
        if not (self._is_done(ledger, RELABEL) and self._files.are_numbered()):
            before: tuple[Stage, ...] = (self.segment_stage(),)
            for name in object_stages(self.plan.objects):
                if name in WITH_ARRAY:
                    create_arrays(self._files.fragments(name).array(self.plan.layout))
                num_done += self._run_stages((*before, self._stages().objects(name)), ledger)
                if self._lost(ledger):
                    # The next attempt computes these blocks again.
                    return num_done
                write_ids(name, self._files, self.plan.output_grid, self.plan.objects)
                before = ()
        stages = self._stages()
        measure = (stages.measure(),) if self.plan.writes_table else ()
        self._run_stages((stages.relabel(), *measure, *stages.downsample()), ledger)
        return num_done

    def write_part(self, part: Part, locks: contextlib.ExitStack) -> Written:
        """Write the blocks of a part. The part that ends last also finishes the output.

        Parameters
        ----------
        part : Part
        locks : ExitStack
            Keeps the ledger of the finished output locked; after an error, that of the part.
            The caller closes it when no worker can write any more.
        """
        part_lock = locks.enter_context(contextlib.ExitStack())
        ledger = part_lock.enter_context(self.record.open_part(part))
        blocks_done = self._write_blocks(part, ledger)
        written = Written(blocks_done, Totals.of(self.plan, ledger), None, finished=False)
        part_lock.close()
        try:
            whole = locks.enter_context(self.record.open("resume"))
        except BusyError:
            # Other parts still run, or one of them finishes the output now.
            return written
        self._check_contents(whole)
        if len(whole.done(SEGMENT)) < self.plan.grid.num_blocks:
            whole.close()
            return written
        finished = self.write_all(whole)
        return replace(finished, blocks_done=blocks_done + finished.blocks_done)

    def _write_blocks(self, part: Part, ledger: Ledger) -> int:
        """Segment the blocks of a part; the number of them that were not done."""
        grid, first = self.plan.grid, self.segment_stage()
        numbers = [grid.number(index) for index in part.traversal(grid)]
        blocks_left = len(set(numbers) - ledger.done(SEGMENT))
        stage = replace(first, num_blocks=len(numbers), traversal=lambda: part.traversal(grid))
        self._run_stages((stage,), ledger)
        return blocks_left

    def _run_stages(self, stages: tuple[Stage, ...], ledger: Ledger) -> int:
        """Run the stages; the number of blocks that were segmented.

        It ends between two stages if files are lost: the next stage would read them.
        """
        return self.stage_runner.run(
            stages,
            ledger,
            output=str(self.record.place.folder),
            may_go_on=lambda: not self._lost(ledger),
        )

    def _lost(self, ledger: Ledger) -> Lost:
        """Blocks that must be computed again."""
        rule, has_table = self.plan.objects, self._has_table()
        return lost_blocks(self._create(), ledger, self._files, rule=rule, has_table=has_table)

    def _has_table(self) -> bool:
        """Whether the table of the objects is there, or none is asked for."""
        return has_table(self.plan, self.record.place)

    def _is_done(self, ledger: Ledger, stage: str) -> bool:
        return len(ledger.done(stage)) == self.plan.grid.num_blocks

    @property
    def _files(self) -> ObjectFiles:
        return ObjectFiles.of(self.record.place)

    def _summary(self) -> ObjectSummary | None:
        """The numbers of the objects, once they are numbered."""
        return ObjectSummary.read(self._files.summary) if self.plan.objects else None

    def _create(self) -> dict[Output, OutputImage]:
        """Create the arrays of the outputs; those of instances when the objects are numbered."""
        summary = self._summary()
        id_type = summary.id_type if summary else ""
        return create_outputs(self.plan, self.record.place, id_type=id_type)

    def _stages(self) -> StageBuilder:
        return StageBuilder(self.plan, self._create(), self._files)

    def segment_stage(self) -> Stage:
        """The stage that runs the network."""
        workers = self.stage_runner.workers_per_host
        return self._stages().segment(self.normalisation, workers_per_host=workers)

    def _forget(self, lost: Lost, ledger: Ledger, *, last: bool) -> None:
        """Take lost blocks out of the ledger, so that they are computed again."""
        if last:
            raise OutputError(
                f"{self.record.place.folder} loses files while it is written "
                f"({list_lost(lost)}): see who removes them, then run with --resume"
            )
        self.stage_runner.notice(
            f"files are missing, so these are computed again: {list_lost(lost)}"
        )
        ledger.forget(lost)

    def _check_contents(self, ledger: Ledger) -> None:
        """Raise ResumeError if the image changed since the run began."""
        before, now = ledger.fingerprint.get(CONTENT), contents_of(self.plan)
        check_contents(self.record.place.folder, before, now)
