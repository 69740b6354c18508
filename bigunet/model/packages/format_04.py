"""Packages of format 0.4: axes are letters, and shapes are lists.

References
----------
https://github.com/bioimage-io/spec-bioimage-io, ``bioimageio/spec/model/v0_4.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.packages.package import (
    AxisKind,
    PackageAxis,
    PackageTensor,
    ProcessingStep,
    Weights,
)
from bigunet.model.packages.plain_fields import items, mapping, number, text

_KINDS: dict[str, tuple[AxisKind, str]] = {
    "b": ("batch", "batch"),
    "c": ("channel", "channel"),
    "t": ("time", "time"),
    "i": ("index", "index"),
    "z": ("space", "z"),
    "y": ("space", "y"),
    "x": ("space", "x"),
}


def tensors_of(data: Mapping[str, Any]) -> tuple[tuple[PackageTensor, ...], ...]:
    """The inputs and the outputs."""
    return (
        tuple(_tensor(one, "preprocessing") for one in items(data.get("inputs"), "inputs")),
        tuple(_tensor(one, "postprocessing") for one in items(data.get("outputs"), "outputs")),
    )


def weights_of(data: Mapping[str, Any]) -> dict[str, Weights]:
    """The forms of the weights, by their names."""
    given = mapping(data.get("weights"), "weights")
    return {
        str(name): _weights(mapping(entry, f"weights {name}"))
        for name, entry in given.items()
        if entry is not None
    }


def _weights(entry: Mapping[str, Any]) -> Weights:
    built = str(entry.get("architecture") or "")
    # "file.py:Network", or "package.module.Network".
    code, _, builder = built.partition(":")
    module = None
    if built and not builder:
        module, _, builder = built.rpartition(".")
    return Weights(
        source=entry.get("source"),
        sha256=entry.get("sha256"),
        code=None if module or not built else code,
        code_sha256=entry.get("architecture_sha256"),
        module=module,
        builder=builder,
        numbers=mapping(entry.get("kwargs") or {}, "kwargs"),
    )


def _tensor(given: object, steps: str) -> PackageTensor:
    field = mapping(given, "a tensor")
    name = text(field.get("name"), "the name of a tensor")
    letters = list(field.get("axes") or "")
    if (
        not letters
        or any(letter not in _KINDS for letter in letters)
        or len(set(letters)) < len(letters)
    ):
        raise ModelError(
            f"the axes of {name} are {brief(field.get('axes'))}; known: b, c, t, i, z, y, x"
        )
    halo = field.get("halo") or [0] * len(letters)
    sizes, ratios = _sizes(field.get("shape"), name, len(letters))
    axes = []
    for place, letter in enumerate(letters):
        kind, axis = _KINDS[letter]
        size, ratio = sizes[place], ratios[place]
        names = tuple(map(str, range(size))) if kind == "channel" and size else ()
        axes.append(
            PackageAxis(kind, axis, size=size, channels=names, halo=int(halo[place]), ratio=ratio)
        )
    done = items(field.get(steps) or [], f"{steps} of {name}")
    return PackageTensor(name, tuple(axes), tuple(_step(one) for one in done))


def _sizes(shape: object, name: str, count: int) -> tuple[list[int | None], list[float]]:
    """For each axis the only size, if one is stated, and the ratio to the input."""
    if isinstance(shape, list) and len(shape) == count:
        return [int(number(n, f"the shape of {name}")) for n in shape], [1.0] * count
    field = mapping(shape, f"the shape of {name}")
    if "min" in field:
        least, step = (list(field.get(key) or []) for key in ("min", "step"))
        if len(least) == len(step) == count:
            return [int(a) if not b else None for a, b in zip(least, step)], [1.0] * count
    scale, offset = (list(field.get(key) or []) for key in ("scale", "offset"))
    if len(scale) != count or len(offset) != count:
        raise ModelError(f"the shape of {name} is {brief(shape)}, which has not {count} axes")
    # A size is that of the input times the scale, plus twice the offset; a new axis has no scale.
    sizes = [int(2 * number(b, "an offset")) if not a else None for a, b in zip(scale, offset)]
    return sizes, [number(a, "a scale") if a else 1.0 for a in scale]


def _step(given: object) -> ProcessingStep:
    field = mapping(given, "a step")
    name = text(field.get("name"), "the name of a step")
    numbers = mapping(field.get("kwargs") or {}, f"kwargs of {name}")
    if name == "zero_mean_unit_variance":
        # The default of the specification.
        numbers = {"mode": "fixed", **numbers}
    return ProcessingStep(name, numbers)
