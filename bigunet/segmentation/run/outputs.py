"""The images that a run writes: their description, their empty arrays, and their publication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from bigunet.io.images.multiscale import Axis, ImageDescription
from bigunet.io.output.arrays import create_arrays, create_marked_group, create_record_node
from bigunet.io.output.output_image import OutputClass, OutputImage, Placement
from bigunet.io.output.publish import write_discovery_metadata
from bigunet.options.choices import Output
from bigunet.segmentation.output_kinds import OBJECT_LABELS, OUTPUT_KINDS
from bigunet.segmentation.place import RUN_FOLDER, Place
from bigunet.segmentation.plan.normalisation import FixedNormalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.urls import shown_url


def describe_outputs(
    plan: SegmentPlan, place: Place, *, id_type: str = ""
) -> dict[Output, OutputImage]:
    """Names and numbers of the images that a run of the plan writes to a place.

    Parameters
    ----------
    plan : SegmentPlan
    place : Place
    id_type : str
        Type of the ids of objects, in the words of numpy; empty if they are not numbered yet.
    """
    outputs = {output: _describe(plan, place, output) for output in plan.options.outputs}
    if id_type and "instances" in outputs:
        outputs["instances"] = replace(outputs["instances"], dtype=id_type)
    return outputs


def create_outputs(
    plan: SegmentPlan, place: Place, *, id_type: str = ""
) -> dict[Output, OutputImage]:
    """Create the arrays of all outputs, where they are missing.

    Parameters are those of `describe_outputs`. The array of the instances is created when their
    type is known.

    Raises
    ------
    OutputError
        If one cannot be created, or another array is there.
    """
    outputs = describe_outputs(plan, place, id_type=id_type)
    if OBJECT_LABELS in place.others:
        # It marks the labels as those of a run, before they have any metadata.
        create_marked_group(place.store, OBJECT_LABELS, RUN_FOLDER, version=place.version)
    for name, output in outputs.items():
        if id_type or name != "instances":
            create_arrays(output)
    create_record_node(place.store, place.record, version=place.version)
    return outputs


def publish(
    outputs: Mapping[Output, OutputImage],
    plan: SegmentPlan,
    normalisation: FixedNormalisation,
    place: Place,
) -> None:
    """Write the metadata by which viewers find the outputs. Only then is the output an image."""
    write_discovery_metadata(
        list(outputs.values()),
        provenance=_provenance(plan, normalisation),
        inside_image=place.inside_image,
    )


def _describe(plan: SegmentPlan, place: Place, output: Output) -> OutputImage:
    classes = tuple(OutputClass(c.name, c.rgba) for c in plan.model.description.classes)
    # OME-Zarr wants time first; in a bare array it may stand anywhere.
    kept = (axis for axis in plan.image.axes if axis.name != "c")
    axes = tuple(sorted(kept, key=lambda axis: axis.type != "time"))
    level = plan.level
    scale = plan.image.volume_scale(level)
    translation = tuple(
        t + s * start
        for t, s, start in zip(plan.image.volume_translation(level), scale, plan.region.start)
    )
    kind = OUTPUT_KINDS[output]
    return OutputImage(
        store=place.store,
        group=kind.group,
        kind="label" if kind.is_label else "image",
        dtype=kind.dtype,
        axes=_with_channel(axes) if kind.per_class else axes,
        layout=plan.layout,
        num_channels=kind.num_channels(len(classes)),
        scale=scale,
        translation=translation,
        version=place.version,
        classes=() if output == "instances" else classes,
        placements=_placements(plan.image) if place.inside_image else (),
        slice_axis=plan.image.slice_axis,
    )


def _placements(image: ImageDescription) -> tuple[Placement, ...]:
    """Scale and translation that the image states for each level; its shapes may say another."""
    levels = range(len(image.levels))
    return tuple((image.volume_scale(k), image.volume_translation(k)) for k in levels)


def _with_channel(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The axes with a channel where OME-Zarr wants it: after time, before space."""
    after = sum(axis.type == "time" for axis in axes)
    return (*axes[:after], Axis("c", "channel"), *axes[after:])


def _provenance(plan: SegmentPlan, normalisation: FixedNormalisation) -> dict[str, Any]:
    """How the output was made: all that `verify` needs. Without times, so that runs compare."""
    return {
        "version": version("bigunet"),
        "image": shown_url(plan.image.url),
        "model": {
            "name": plan.model.description.name,
            "sha256": plan.model.digest,
            "path": plan.model.path,
            "scores": plan.model.scores,
        },
        "normalisation": normalisation.to_dict(),
        "options": plan.options.to_dict(),
        "channels": list(plan.channels),
        "precision": plan.precision,
        "turns": plan.turns,
        "method": plan.method,
    }
