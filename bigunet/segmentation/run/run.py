"""Run a plan: write all of its blocks or those of a part, and publish the output."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bigunet.engine.ledger import Ledger
from bigunet.engine.stage import Stage
from bigunet.errors import BusyError, OutputError
from bigunet.io.output.output_image import OutputImage
from bigunet.io.output.upkeep import is_whole, remove_damaged_metadata
from bigunet.io.output.writing import sweep_partial_files
from bigunet.options.choices import Output
from bigunet.segmentation.plan.content import CONTENT, check_contents, contents_of
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.outputs import create_outputs, describe_outputs, publish
from bigunet.segmentation.run.part import Part
from bigunet.segmentation.run.progress import has_begun
from bigunet.segmentation.run.record import RunRecord
from bigunet.segmentation.run.stage_runner import StageRunner
from bigunet.segmentation.run.stages import SEGMENT, build_stages, stage_name
from bigunet.segmentation.run.totals import Totals
from bigunet.segmentation.run.wholeness import list_lost, lost_blocks

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
    finished : bool
        Whether the output is complete and published.
    """

    blocks_done: int
    totals: Totals
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
            sweep_partial_files(place.folder)
            remove_damaged_metadata(place.folder)
            outputs = create_outputs(self.plan, place)
            lost = lost_blocks(list(outputs.values()), ledger)
            if not lost and attempt:
                break
            if lost:
                self._forget(lost, ledger, last=attempt == _ATTEMPTS)
            num_done += self._run_stages(self._stages(outputs), ledger)
        self._check_contents(ledger)
        publish(outputs, self.plan, self.normalisation, place)
        return Written(num_done, Totals.of(self.plan, ledger), finished=True)

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
        written = Written(blocks_done, Totals.of(self.plan, ledger), finished=False)
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
        grid = self.plan.grid
        first, *_ = self._stages(create_outputs(self.plan, self.record.place))
        numbers = [grid.number(index) for index in part.traversal(grid)]
        blocks_left = len(set(numbers) - ledger.done(SEGMENT))
        stage = replace(first, num_blocks=len(numbers), traversal=lambda: part.traversal(grid))
        self._run_stages((stage,), ledger)
        return blocks_left

    def _run_stages(self, stages: tuple[Stage, ...], ledger: Ledger) -> int:
        """Run the stages; the number of blocks that were segmented.

        It ends between two stages if files are lost: the next stage would read them.
        """

        def nothing_is_lost() -> bool:
            outputs = create_outputs(self.plan, self.record.place)
            return not lost_blocks(list(outputs.values()), ledger)

        return self.stage_runner.run(
            stages, ledger, output=str(self.record.place.folder), may_go_on=nothing_is_lost
        )

    def _stages(self, outputs: Mapping[Output, OutputImage]) -> tuple[Stage, ...]:
        return build_stages(
            self.plan,
            outputs,
            self.normalisation,
            workers_per_host=self.stage_runner.workers_per_host,
        )

    def _forget(self, lost: dict[str, list[int]], ledger: Ledger, *, last: bool) -> None:
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


def find_finished(plan: SegmentPlan, record: RunRecord) -> Totals | None:
    """Totals of the run at a place if it is finished and no file is missing; None otherwise.

    This needs no workers and changes nothing.

    Raises
    ------
    ResumeError
        If another run wrote the output, or the image changed since.
    """
    place = record.place
    if not has_begun(place.folder):
        return None
    with record.open("resume") as ledger:
        outputs, layout = list(describe_outputs(plan, place).values()), plan.layout
        if not is_whole(outputs, record=place.record, inside_image=place.inside_image):
            return None
        undone = any(
            len(ledger.done(stage_name(group))) < math.prod(layout.grid_shape(group))
            for group in range(len(layout.groups))
        )
        return None if undone or lost_blocks(outputs, ledger) else Totals.of(plan, ledger)
