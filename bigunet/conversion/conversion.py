"""Runs a conversion: its stages, the blocks that were lost, and the metadata at the end."""

from __future__ import annotations

from dataclasses import dataclass

from bigunet.conversion.convert_plan import ConvertPlan
from bigunet.conversion.convert_record import COPY, ConvertRecord, copy_stage, num_blocks
from bigunet.conversion.copy_work import CopyWork
from bigunet.conversion.windows import with_windows
from bigunet.engine.ledger import Ledger
from bigunet.engine.stage import Stage, Work
from bigunet.errors import OutputError
from bigunet.io.files.opening import open_level
from bigunet.io.output.arrays import create_arrays, create_record_node
from bigunet.io.output.publish import is_converted, publish_image
from bigunet.io.output.upkeep import remove_damaged_metadata
from bigunet.io.output.writer import OutputWriter
from bigunet.io.output.writing import sweep_partial_files
from bigunet.segmentation.run.downsampling import DownsampleWork
from bigunet.segmentation.run.stage_runner import StageRunner
from bigunet.segmentation.run.wholeness import Lost, list_lost, lost_image_blocks

_ATTEMPTS = 2


@dataclass(frozen=True)
class Conversion:
    """Writes all blocks that are not done, then the metadata that make the output an image.

    Parameters
    ----------
    plan : ConvertPlan
    record : ConvertRecord
    stage_runner : StageRunner
    """

    plan: ConvertPlan
    record: ConvertRecord
    stage_runner: StageRunner

    def write_all(self, ledger: Ledger) -> int:
        """Copy the image; the number of blocks of level 0 that this run wrote.

        Raises
        ------
        OutputError
            If files of finished blocks are lost again and again.
        ResumeError
            If the image changed meanwhile: then nothing is published.
        """
        folder, num_done = self.record.place.folder, 0
        for attempt in range(_ATTEMPTS + 1):
            sweep_partial_files(folder)
            remove_damaged_metadata(folder)
            self._create()
            lost = self._lost(ledger)
            if not lost and attempt:
                break
            if lost and attempt == _ATTEMPTS:
                raise OutputError(
                    f"{folder} loses files while it is written ({list_lost(lost)}): see who "
                    "removes them, then run with --resume"
                )
            if lost:
                ledger.forget(lost)
            num_left = num_blocks(self.plan)[COPY] - len(ledger.done(COPY))
            self.stage_runner.run(
                self._stages(),
                ledger,
                output=str(folder),
                may_go_on=lambda: not self._lost(ledger),
            )
            num_done += num_left
        self.record.check_content(ledger)
        extremes = (result["extremes"] for result in ledger.results(COPY))
        publish_image(with_windows(self.plan.output, extremes))
        return num_done

    def _create(self) -> None:
        place = self.record.place
        create_arrays(self.plan.output)
        create_record_node(place.store, place.record, version=place.version)

    def _lost(self, ledger: Ledger) -> Lost:
        return lost_image_blocks(self.plan.output, ledger, first=COPY)

    def _stages(self) -> tuple[Stage, ...]:
        plan = self.plan
        writer = OutputWriter(plan.output)
        reader = open_level(plan.image, channels=range(plan.image.num_channels))
        copy = CopyWork(reader, writer, plan.grid(), plan.output.has_channels)
        later = range(1, len(plan.layout.groups))
        works: list[Work] = [DownsampleWork((writer,), k, plan.grid(k)) for k in later]
        return tuple(self._stage(group, work) for group, work in enumerate([copy, *works]))

    def _stage(self, group: int, work: Work) -> Stage:
        grid = self.plan.grid(group)
        axes = self.plan.output.canonical_names
        return Stage(
            copy_stage(group), grid.num_blocks, grid.traversal, grid.number, work, grid, axes
        )


def is_finished(plan: ConvertPlan, ledger: Ledger) -> bool:
    """Whether all blocks are done, no file is missing, and the output is shown as an image."""
    if any(len(ledger.done(stage)) < number for stage, number in num_blocks(plan).items()):
        return False
    return is_converted(plan.output.store) and not lost_image_blocks(
        plan.output, ledger, first=COPY
    )
