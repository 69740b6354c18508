"""Packages of format 0.5: each axis is a mapping.

References
----------
https://github.com/bioimage-io/spec-bioimage-io, ``bioimageio/spec/model/v0_5.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.packages.package import (
    PackageAxis,
    PackageTensor,
    ProcessingStep,
    Weights,
)
from bigunet.model.packages.plain_fields import items, mapping, number, size_um, text

_KINDS = ("batch", "channel", "space", "time", "index")


def tensors_of(data: Mapping[str, Any]) -> tuple[tuple[PackageTensor, ...], ...]:
    """The inputs and the outputs."""
    inputs = tuple(
        _tensor(mapping(one, "an input"), "preprocessing")
        for one in items(data.get("inputs"), "inputs")
    )
    raw = {
        (tensor.name, axis.name): mapping(field, "an axis")
        for tensor, one in zip(inputs, data["inputs"])
        for axis, field in zip(tensor.axes, one["axes"])
    }
    outputs = tuple(
        _tensor(mapping(one, "an output"), "postprocessing", raw)
        for one in items(data.get("outputs"), "outputs")
    )
    return inputs, outputs


def weights_of(data: Mapping[str, Any]) -> dict[str, Weights]:
    """The forms of the weights, by their names."""
    given = mapping(data.get("weights"), "weights")
    return {
        str(name): _weights(mapping(entry, f"weights {name}"))
        for name, entry in given.items()
        if entry is not None
    }


def _weights(entry: Mapping[str, Any]) -> Weights:
    built = mapping(entry.get("architecture") or {}, "architecture")
    return Weights(
        source=entry.get("source"),
        sha256=entry.get("sha256"),
        code=built.get("source"),
        code_sha256=built.get("sha256"),
        module=built.get("import_from"),
        builder=str(built.get("callable", "")),
        numbers=mapping(built.get("kwargs") or {}, "kwargs"),
    )


def _tensor(
    field: Mapping[str, Any], steps: str, inputs: Mapping[tuple[str, str], Any] | None = None
) -> PackageTensor:
    name = text(field.get("id", "input" if inputs is None else "output"), "the id of a tensor")
    axes = tuple(
        _axis(mapping(axis, f"an axis of {name}"), inputs or {})
        for axis in items(field.get("axes"), f"the axes of {name}")
    )
    if len({axis.name for axis in axes}) < len(axes):
        raise ModelError(f"tensor {name!r} has two axes of one name")
    done = items(field.get(steps) or [], f"{steps} of {name}")
    return PackageTensor(
        name,
        axes,
        tuple(_step(mapping(one, f"a step of {name}")) for one in done),
        optional=field.get("optional") is True,
    )


def _step(field: Mapping[str, Any]) -> ProcessingStep:
    name = text(field.get("id"), "the id of a step")
    return ProcessingStep(name, mapping(field.get("kwargs") or {}, f"kwargs of {name}"))


def _axis(field: Mapping[str, Any], inputs: Mapping[tuple[str, str], Any]) -> PackageAxis:
    kind = field.get("type")
    if kind not in _KINDS:
        raise ModelError(f"an axis of type {brief(kind)}; known: {', '.join(_KINDS)}")
    # The id of the third axis of space is x by default.
    name = text(field.get("id", "x"), "the id of an axis") if kind == "space" else str(kind)
    names = field.get("channel_names")
    size = field.get("size")
    own = number(field.get("scale", 1.0), f"the scale of {name}") if kind == "space" else 1.0
    return PackageAxis(
        kind,
        name,
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
        channels=tuple(map(str, names)) if isinstance(names, list) else (),
        scale_um=size_um(own, field.get("unit")) if kind == "space" else None,
        halo=int(number(field.get("halo", 0), f"the halo of {name}")),
        ratio=_ratio(size, own, inputs),
    )


def _ratio(size: object, own: float, inputs: Mapping[tuple[str, str], Any]) -> float:
    """Voxels of an axis of an output for one voxel of the axis that its size refers to."""
    if not isinstance(size, Mapping) or "tensor_id" not in size:
        return 1.0
    other = inputs.get((str(size["tensor_id"]), str(size.get("axis_id"))))
    if other is None:
        return 1.0
    return number(other.get("scale", 1.0), "the scale of an axis") / own if own else 0.0
