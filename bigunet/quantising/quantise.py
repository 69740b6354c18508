"""The verb ``quantise``: a model file with numbers of 8 bits, calibrated with images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from bigunet.errors import ModelError, OutputError
from bigunet.model.description import ModelDescription
from bigunet.model.files.int8_tensors import write_with_int8
from bigunet.model.files.model_file import load_model
from bigunet.model.int8.quantising import check_quantisable, quantised
from bigunet.model.model import Model
from bigunet.options.option_fields import chosen
from bigunet.quantising.quantise_images import check_channels, labelled, patches, unlabelled
from bigunet.quantising.quantise_options import QuantiseKeywords, QuantiseOptions
from bigunet.quantising.quantise_report import QuantiseReport
from bigunet.training.data.samples import Sample
from bigunet.training.data.targets import TargetRule
from bigunet.training.segmented_samples import segment_samples
from bigunet.training.train_options import TrainOptions
from bigunet.training.validate import equal_labels, score_name, score_of


def quantise(
    model: str | Path,
    images: str | Path,
    labels: str | Path | None = None,
    *,
    output: str | Path = "",
    options: QuantiseOptions | None = None,
    **fields: Unpack[QuantiseKeywords],
) -> QuantiseReport:
    """Write a model file with numbers of 8 bits, and say how int8 compares with fp32.

    The weights keep their bytes, so that the other precisions give what they gave.

    Parameters
    ----------
    model : str or path
        A U-Net of bigunet: the name of a bundled model, or a model file.
    images : path
        An image or a folder of images, such as those that the model is for. Of several images,
        some are kept apart for the comparison.
    labels : path, optional
        Labels of the images, as ``train`` takes them. With labels, scores are compared too; only
        then may ``--precision auto`` take int8.
    output : path, optional
        The model file to write; by default NAME.int8.safetensors in this folder.
    options : QuantiseOptions, optional
    **fields
        Fields of QuantiseOptions, such as ``patches=128``.

    Returns
    -------
    QuantiseReport

    Raises
    ------
    ModelError
        If the model is no U-Net of bigunet, or its file does not say what its labels mean.
    BigUNetError
        If images or labels cannot be read, or the output exists.
    """
    options = chosen(QuantiseOptions, options, fields, quantise)
    loaded = load_model(model)
    check_quantisable(loaded.module)
    target = Path(output or f"{loaded.description.name}.int8.safetensors")
    if target.exists():
        raise OutputError(f"{target} exists: remove it first, or give another --output")
    train = _train_options(loaded.description, options, with_labels=labels is not None)
    kept, apart = (
        unlabelled(loaded, images, train, options)
        if labels is None
        else labelled(loaded, images, labels, train)
    )
    check_channels(loaded, (*kept, *apart))
    numbers = quantised(loaded.module, patches(kept, loaded, options.patches))
    rule = None if labels is None else _rule(train)
    report = _compared(replace(loaded, int8=numbers), apart or kept, rule)
    report = replace(report, output=str(target), same_images=not apart or kept == apart)
    write_with_int8(loaded.path, target, numbers, _described(loaded.description, report))
    return report


def _train_options(
    description: ModelDescription, options: QuantiseOptions, *, with_labels: bool
) -> TrainOptions:
    """How the model's training read images, and labels if there are any."""
    normalisation = description.normalisation
    if normalisation.kind == "steps":
        raise ModelError(f"{description.name} is a package: int8 is for model files of bigunet")
    grey = {"normalise": normalisation.kind, "low": normalisation.low, "high": normalisation.high}
    chosen_here = {"level": options.level, "channels": options.channels}
    if not with_labels:
        return TrainOptions(**grey, **chosen_here)  # type: ignore[arg-type]
    recorded = description.training.get("options", {})
    if "target" not in recorded:
        raise ModelError(
            f"{description.name} does not say what its labels mean: leave the labels out"
        )
    names = ("target", "border_width", "connected", "label_values", "ignore")
    known = {name: recorded[name] for name in names if name in recorded}
    listed = {name: tuple(v) if isinstance(v, list) else v for name, v in known.items()}
    return TrainOptions(**grey, **chosen_here, **listed)  # type: ignore[arg-type]


def _rule(train: TrainOptions) -> TargetRule:
    return TargetRule(train.target, train.label_values, train.border_width)


def _compared(model: Model, samples: Sequence[Sample], rule: TargetRule | None) -> QuantiseReport:
    """Labels and scores of samples in both precisions."""
    fp32 = list(segment_samples(model, samples, device="cpu"))
    int8 = list(segment_samples(model, samples, device="cpu", precision="int8"))
    report = QuantiseReport("", equal_labels(fp32, int8))
    if rule is None:
        return report
    name = score_name(rule, "auto")
    scores = [score_of(segmented, rule, name) for segmented in (fp32, int8)]
    return replace(report, score_name=name, fp32=scores[0], int8=scores[1])


def _described(description: ModelDescription, report: QuantiseReport) -> ModelDescription:
    """The description with what the report says of int8."""
    others = tuple(name for name in description.precisions if name != "int8")
    allowed = ("int8",) if report.allowed else ()
    card = {**description.card, "int8": report.to_dict()}
    return replace(description, precisions=(*others, *allowed), card=card)
