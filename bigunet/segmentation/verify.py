"""Check an output against its image: recompute windows across seams, on another grid of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bigunet.errors import OptionError, OutputError
from bigunet.io.files.opening import open_image, open_level
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.output.publish import read_provenance
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.model import Model
from bigunet.segmentation.model_choice import chosen_model
from bigunet.segmentation.output_kinds import OUTPUT_KINDS
from bigunet.segmentation.place import INSIDE_GROUP
from bigunet.segmentation.plan.plan import make_plan
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.recomputation import Recomputation
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.verify_report import VerifyReport
from bigunet.segmentation.windows import choose_windows
from bigunet.stores.access import join_url, normal_url
from bigunet.urls import shown_url


def verify(
    source: str | Path,
    target: str | Path | None = None,
    *,
    model: str | Path | Model | None = None,
    windows: int = 8,
    seed: int = 0,
    mask: str | Path = "",
    trust: bool = False,
) -> VerifyReport:
    """Recompute parts of an output, most of them across seams between blocks.

    Parameters
    ----------
    source : path or URL
        The image.
    target : path, optional
        The output that was made from it; by default the label inside the image.
    model : str, path or Model, optional
        By default the model that the output names.
    windows : int
        Number of windows to recompute.
    seed : int
        Of the random numbers that choose the windows.
    mask : path or URL, optional
        The mask of the run, if its address contains a password or token: outputs keep none.
    trust : bool
        Whether the model may run code, as in `load_model`.

    Raises
    ------
    OutputError
        If the target is not a finished output, or not one of this image.
    ModelError, OptionError
        If the model cannot be found, is another one, or gives scores that are not finite.
    """
    if windows < 1:
        raise OptionError(f"{windows} windows; give at least 1")
    output = _open_output(source, target)
    plan = _plan_of(output, model, normal_url(mask) if mask else "", trust=trust)
    if "classes" not in plan.options.outputs:
        raise OutputError(
            f"{output.path} has no classes to verify; segment with --output classes too"
        )
    predictor = Predictor(
        plan.model,
        _grey_range(output.provenance["normalisation"]),
        precision=output.provenance["precision"],
        backend=plan.options.backend,
        slab=plan.slab,
    )
    reader = open_level(plan.image, level=plan.level, channels=plan.channels)
    stored = _open_stored(output, plan, INSIDE_GROUP)
    if stored.shape != plan.region.shape:
        raise OutputError(
            f"{output.path} has shape {stored.shape}, but {plan.region.shape} of "
            f"{plan.image.url} was segmented: it is another image's output"
        )
    instances = probabilities = None
    if plan.objects is not None:
        instances = _open_stored(output, plan, OUTPUT_KINDS["instances"].group)
        if plan.options.object_threshold is not None:
            group, channel = OUTPUT_KINDS["probabilities"].group, plan.objects.object_class
            probabilities = _open_stored(output, plan, group, channel)
    recomputation = Recomputation(plan, predictor, reader, stored, instances, probabilities)
    return recomputation.compare(list(choose_windows(plan, windows, seed)))


@dataclass(frozen=True)
class _Output:
    """An output and its image.

    Parameters
    ----------
    image : ImageDescription
    store : str
        Path of the root group that holds the labels.
    path : str
        Path of the output, for messages.
    provenance : mapping
        How the output was made; empty if it is not finished.
    """

    image: ImageDescription
    store: str
    path: str
    provenance: Mapping[str, Any]


def _open_output(source: str | Path, target: str | Path | None) -> _Output:
    store, group = (normal_url(source), INSIDE_GROUP) if target is None else (str(target), "")
    options = read_provenance(store, group).get("options", {})
    image = open_image(source, axes=options.get("axes", ""))
    if target is None:
        # If the source is a root with one series, the labels lie in the series.
        store = image.url
    path = str(target or join_url(store, group))
    return _Output(image, store, path, read_provenance(store, group))


def _open_stored(output: _Output, plan: SegmentPlan, group: str, channel: int = 0) -> ArrayReader:
    """A reader of level 0 of a group of the output, with the axes in the order of the plan."""
    image = open_image(join_url(output.store, group))
    return open_level(replace(image, slice_axis=plan.image.slice_axis), channels=(channel,))


def _grey_range(values: Mapping[str, Any]) -> GreyRange:
    """The grey range of a run. Outputs of earlier versions have no limits and no padding."""
    return GreyRange(
        tuple(values["values_low"]),
        tuple(values["values_high"]),
        tuple(values.get("least", ())),
        tuple(values.get("greatest", ())),
        tuple(map(tuple, values.get("padding", ()))),
        tuple(values.get("fill", ())),
    )


def _plan_of(
    output: _Output, model: str | Path | Model | None, mask: str, *, trust: bool
) -> SegmentPlan:
    """The plan of the run that made an output."""
    made = output.provenance
    if not made:
        raise OutputError(
            f"{output.path} is not a finished output of bigunet: give the image and its output, or "
            "finish it with segment --resume"
        )
    options = SegmentOptions.from_dict(made["options"])
    loaded = _model_of(output, model, replace(options, trust=trust))
    if mask and shown_url(mask) != options.mask:
        raise OptionError(
            f"{output.path} was made with "
            f"{f'mask {options.mask}' if options.mask else 'no mask'}, not with mask {mask}"
        )
    options = replace(options, mask=mask or options.mask, channels=tuple(made["channels"]))
    return make_plan(output.image, loaded, options)


def _model_of(output: _Output, model: str | Path | Model | None, options: SegmentOptions) -> Model:
    """The model that made an output, from the caller or from the path that the output names."""
    made = output.provenance["model"]
    if model is None:
        if not made["path"]:
            raise OptionError(
                f"{output.path} was made with a module of Python's: give it as the model"
            )
        model = made["path"]
    assert model is not None
    loaded = chosen_model(model, options)
    if loaded.digest != made["sha256"]:
        raise OptionError(
            f"{output.path} was made with another version of model {made['name']!r}; give the "
            "very file with --model"
        )
    return loaded
