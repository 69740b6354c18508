"""The last steps on a trained model: calibration, the final score, and whether bf16 is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bigunet.model.inference.hardware import native_precision
from bigunet.model.model import Model
from bigunet.model.networks.network import Network
from bigunet.options.choices import Precision
from bigunet.training.calibrate import add_offsets, search_offsets
from bigunet.training.checkpoint import TrainingState
from bigunet.training.data.samples import Sample
from bigunet.training.run.budget import seen_voxels
from bigunet.training.run.judge import Judge
from bigunet.training.run.model_writer import ModelWriter
from bigunet.training.segmented_samples import score_samples, segment_samples
from bigunet.training.validate import equal_labels, score_of
from bigunet.training.work_stages import Counted

SAME_LABELS = 0.999
"""Share of voxels on which bf16 must agree with fp32, so that the model allows it."""
_COMPARED_VOXELS = 2**20
# Scores of all classes together; they are kept in memory as float16.
_CALIBRATED_SCORES = 2**29
_USUAL_TRIES = 8
"""Number of offsets that calibration usually tries for each class."""
_FEWER_VOXELS = 8
"""In a run by the clock, calibration and the trial of bf16 take this many times fewer voxels than
a validation: calibration scores them many times, and the trial comes on top of everything else."""


def finish_model(writer: ModelWriter, judge: Judge, state: TrainingState) -> float:
    """Calibrate and score the model file, and write the results into it.

    Returns
    -------
    float
        Score of the weights in the file; NaN without images to validate on.
    """
    model = writer.written_model()
    record = dict(model.description.training)
    # The file of a run that was killed after this point has its offsets already.
    if writer.options.calibrate and "class_offsets" not in record:
        record["class_offsets"] = _calibrate(model, judge)
    score = _final_score(model, writer, judge, state)
    precisions: tuple[Precision, ...] = ("fp32",)
    card = dict(model.description.card)
    if judge.training_set.validation:
        record["validation_score"] = None if math.isnan(score) else round(score, 4)
        record["validation_share"] = round(judge.validated_share, 4)
        # A machine without bf16 instructions imitates bf16, and takes many times as long.
        if native_precision(judge.device) == "bf16":
            equal = _bf16_agreement(model, judge)
            record["bf16_equal_labels"] = round(equal, 6)
            precisions = ("fp32", "bf16") if equal >= SAME_LABELS else precisions
        if not math.isnan(score):
            card["scores"] = {f"{judge.score_name} on validation images": round(score, 4)}
    record |= {"steps_run": state.step, "seconds": round(state.seconds)}
    judge.on_stage("saving", 0.0)
    description = replace(model.description, training=record, precisions=precisions, card=card)
    writer.rewrite(model, description)
    judge.on_stage("saving", 1.0)
    return score


def _final_score(model: Model, writer: ModelWriter, judge: Judge, state: TrainingState) -> float:
    """Score of the model file; it is measured only if the validation had other weights."""
    options = writer.options
    if not judge.training_set.validation:
        return math.nan
    if options.half or options.calibrate or writer.recipe.precision != "fp32":
        return judge.score_in(model, "fp32")
    return state.best_score


def _calibrate(model: Model, judge: Judge) -> list[float]:
    """Add offsets to the scores of the classes in the model's last layer, and return them.

    All images take part that fit the memory set aside for it: the validation images alone are so
    few that offsets could be best on them by chance.
    """
    assert isinstance(model.module, Network)
    training_set, num_classes = judge.training_set, len(model.description.classes)
    samples = [*training_set.validation, *training_set.samples]
    most = _within_budget(_CALIBRATED_SCORES // num_classes, judge)
    whole = sum(math.prod(sample.image.shape) for sample in samples)
    counted = Counted("scores to calibrate", min(most, whole), judge.on_stage)
    scored = score_samples(
        model, samples, device=judge.device, max_voxels=most, on_voxels=counted.add
    )
    tries = Counted("calibration", _USUAL_TRIES * num_classes, judge.on_stage)

    def score(offsets: Sequence[float]) -> float:
        tries.add_one()
        segmented = (one.segmented(offsets) for one in scored)
        return score_of(segmented, training_set.rule, judge.score_name)

    offsets, _ = search_offsets(score, num_classes)
    add_offsets(model.module, offsets)
    return list(offsets)


def _bf16_agreement(model: Model, judge: Judge) -> float:
    """Share of voxels that have the same label in bf16 and in fp32."""
    most = _within_budget(_COMPARED_VOXELS, judge)
    samples: list[Sample] = []
    for sample in judge.training_set.validation:
        if sum(math.prod(s.image.shape) for s in samples) < most:
            samples.append(sample)
    counted = Counted("trying bf16", 2 * seen_voxels(samples, most), judge.on_stage)
    precisions: tuple[Precision, Precision] = ("fp32", "bf16")
    exact, lower = (
        segment_samples(
            model,
            samples,
            device=judge.device,
            precision=precision,
            max_voxels=most,
            on_voxels=counted.add,
        )
        for precision in precisions
    )
    return equal_labels(exact, lower)


def _within_budget(voxels: int, judge: Judge) -> int:
    if not judge.budget.is_limited:
        return voxels
    return min(voxels, max(1, judge.budget.voxels // _FEWER_VOXELS))
