"""Finds blocks that the ledger calls done, but that have lost their files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bigunet.engine.ledger import Ledger
from bigunet.io.output.block_files import files_of_blocks, sources_of_block
from bigunet.io.output.output_image import OutputImage
from bigunet.objects.rule import ObjectRule
from bigunet.options.choices import Output
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.instances.object_stages import LABEL, WITH_ARRAY, object_stages
from bigunet.segmentation.output_kinds import MADE_OF_CLASSES
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run.stages import MEASURE, RELABEL, SEGMENT, stage_name

Mask = npt.NDArray[np.bool_]
Lost = dict[str, list[int]]


def lost_blocks(
    outputs: Mapping[Output, OutputImage],
    ledger: Ledger,
    files: ObjectFiles,
    *,
    rule: ObjectRule | None,
    has_table: bool,
) -> Lost:
    """Blocks that the ledger calls done, but that must be computed again; by their stage.

    A block is lost if its files differ in number or size from those in the ledger. A block of a
    later level is also lost if a block that it was made from is lost or not done: this one may
    have been lost before. If a block of the classes is lost, all numbered objects are, too.

    Parameters
    ----------
    outputs : mapping of str to OutputImage
        All outputs of the run; they have the same layout.
    ledger : Ledger
    files : ObjectFiles
        Files between the stages that make objects.
    rule : ObjectRule or None
        What an object is; None if no instances are written.
    has_table : bool
        Whether the table of the objects is written, or none is asked for.

    Raises
    ------
    OutputError
        If the outputs or the ledger cannot be read.
    """
    direct = [output for name, output in outputs.items() if name not in MADE_OF_CLASSES]
    lost: Lost = {}
    kept = _kept(lost, SEGMENT, _stored(direct, 0), ledger)
    if rule is not None:
        instances = outputs["instances"]
        kept &= _kept_objects(lost, kept, instances, ledger, files, rule, has_table=has_table)
    _add_lost_levels(lost, list(outputs.values()), kept, ledger)
    return lost


def lost_image_blocks(output: OutputImage, ledger: Ledger, *, first: str) -> Lost:
    """Blocks of an image of its own that must be written again; ``first`` writes its level 0.

    The rules are those of `lost_blocks`.
    """
    lost: Lost = {}
    kept = _kept(lost, first, _stored([output], 0), ledger)
    _add_lost_levels(lost, [output], kept, ledger)
    return lost


def list_lost(lost: Lost) -> str:
    """The first of the lost blocks, as text for messages."""
    numbers = [f"{stage} block {number}" for stage, blocks in lost.items() for number in blocks]
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return ", ".join(numbers[:3]) + more


def _add_lost_levels(
    lost: Lost, outputs: Sequence[OutputImage], kept: Mask, ledger: Ledger
) -> None:
    """Add the lost blocks of all later levels; ``kept`` says which blocks of level 0 are kept."""
    layout = outputs[0].layout
    for group in range(1, len(layout.groups)):
        stage, before = stage_name(group), kept.reshape(layout.grid_shape(group - 1))
        stored = _stored(outputs, group)
        done = _done(ledger, stage, len(stored))
        has_sources = _has_sources(outputs[0], group, before) if done.any() else ()
        kept = _kept(lost, stage, stored, ledger, has_sources=has_sources)


def _kept_objects(
    lost: Lost,
    classes: Mask,
    instances: OutputImage,
    ledger: Ledger,
    files: ObjectFiles,
    rule: ObjectRule,
    *,
    has_table: bool,
) -> Mask:
    """Which blocks of the numbered objects are kept; lost ones of all their stages are added.

    Ids depend on all blocks: none of them is kept unless all classes and all fragments are. The
    table depends on all ids. Fragments are removed when all ids are written, and sums when the
    table is.
    """
    stored = _stored([instances], 0)
    relabelled = _kept({}, RELABEL, stored, ledger, whole=bool(classes.all()))
    if not (relabelled.all() and files.are_numbered()):
        whole = _keeps_fragments(lost, classes, instances, ledger, files, rule)
        relabelled = _kept(lost, RELABEL, stored, ledger, whole=whole)
    if not has_table:
        sums = files.sums.stored(len(stored))
        _kept(lost, MEASURE, sums, ledger, whole=bool(relabelled.all()))
    return relabelled


def _keeps_fragments(
    lost: Lost,
    classes: Mask,
    instances: OutputImage,
    ledger: Ledger,
    files: ObjectFiles,
    rule: ObjectRule,
) -> bool:
    """Whether the fragments of all stages are kept; lost ones are added.

    If the first stage is "label", its blocks read one block of the classes each. All others read
    more than one block of the stage before.
    """
    before = classes
    for stage in object_stages(rule):
        own = files.fragments(stage)
        stored = own.stored(instances.layout, with_array=stage in WITH_ARRAY)
        if stage == LABEL and before is classes:
            before = _kept(lost, stage, stored, ledger, has_sources=classes)
        else:
            before = _kept(lost, stage, stored, ledger, whole=bool(before.all()))
    return bool(before.all())


def _stored(outputs: Sequence[OutputImage], group: int) -> npt.NDArray[np.int64]:
    """Number and bytes of the files of each block; int64 (blocks, 2)."""
    return files_of_blocks(outputs, group)


def _kept(
    lost: Lost,
    stage: str,
    stored: npt.NDArray[np.int64],
    ledger: Ledger,
    *,
    has_sources: Sequence[bool] | Mask = (),
    whole: bool = True,
) -> Mask:
    """Which blocks of a stage are done and have their files; the lost ones are added to ``lost``.

    Parameters
    ----------
    has_sources : sequence of bool
        Whether the blocks that a block was made from are kept; empty if a block has no such blocks.
    whole : bool
        Whether any block can be kept.
    """
    done = _done(ledger, stage, len(stored))
    kept = done & whole
    if kept.any():
        kept &= _has_files(stage, stored, ledger)
        if len(has_sources):
            kept &= np.asarray(has_sources)
    if (gone := np.flatnonzero(done & ~kept)).size:
        lost[stage] = gone.tolist()
    return kept


def _done(ledger: Ledger, stage: str, num_blocks: int) -> Mask:
    done = np.zeros(num_blocks, bool)
    done[list(ledger.done(stage))] = True
    return done


def _has_files(stage: str, stored: npt.NDArray[np.int64], ledger: Ledger) -> Mask:
    recorded = np.full_like(stored, -1)
    for result in ledger.results(stage):
        recorded[result["block"]] = result["files"]
    same: Mask = (stored == recorded).all(axis=1)
    return same


def _has_sources(output: OutputImage, group: int, before: Mask) -> Mask:
    grid = output.layout.grid_shape(group)
    has = [before[sources_of_block(output, group, index)].all() for index in np.ndindex(*grid)]
    return np.array(has, bool)


def num_blocks(plan: SegmentPlan) -> dict[str, int]:
    """Number of blocks of each stage of a run, by the name of the stage."""
    layout = plan.layout
    groups = range(len(layout.groups))
    numbers = {stage_name(group): math.prod(layout.grid_shape(group)) for group in groups}
    of_objects = [*object_stages(plan.objects), RELABEL] if plan.objects else []
    of_objects += [MEASURE] if plan.writes_table else []
    return numbers | dict.fromkeys(of_objects, numbers[SEGMENT])
