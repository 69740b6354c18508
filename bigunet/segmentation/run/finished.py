"""Whether the run at a place is finished, from its files and its ledger; it needs no workers."""

from __future__ import annotations

from bigunet.io.output.upkeep import is_whole
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_summary import ObjectSummary
from bigunet.segmentation.instances.object_table import has_table
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.outputs import describe_outputs
from bigunet.segmentation.run.progress import has_begun
from bigunet.segmentation.run.record import RunRecord
from bigunet.segmentation.run.run import Written
from bigunet.segmentation.run.totals import Totals
from bigunet.segmentation.run.wholeness import lost_blocks, num_blocks


def find_finished(plan: SegmentPlan, record: RunRecord) -> Written | None:
    """What the run at a place has written, if it is finished and no file is missing; else None.

    This needs no workers. It removes what a run that was killed at its very end has left.

    Raises
    ------
    ResumeError
        If another run wrote the output, or the image changed since.
    """
    place = record.place
    if not has_begun(place.folder):
        return None
    with record.open("resume") as ledger:
        files = ObjectFiles.of(place)
        summary = ObjectSummary.read(files.summary) if plan.objects else None
        outputs = describe_outputs(plan, place, id_type=summary.id_type if summary else "")
        published = list(outputs.values())
        if not is_whole(published, record=place.record, inside_image=place.inside_image):
            return None
        stages = num_blocks(plan)
        undone = any(len(ledger.done(stage)) < number for stage, number in stages.items())
        with_table = has_table(plan, place)
        if undone or not with_table:
            return None
        if lost_blocks(outputs, ledger, files, rule=plan.objects, has_table=True):
            return None
        files.remove()
        return Written(0, Totals.of(plan, ledger), summary, finished=True)
