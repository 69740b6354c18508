"""Coordinate systems of OME-Zarr 0.6, as the axes and transformations of earlier versions.

It opens no file. An image has the axes, sizes and places of its intrinsic system: the one to which
all of its levels map. Transformations from there to other systems change none of them.

References
----------
OME-Zarr 0.6, "coordinateSystems" and "multiscales": https://ngff.openmicroscopy.org/0.6/
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bigunet.errors import ImageError
from bigunet.io.images import ngff
from bigunet.io.images.limits import MAX_TRANSFORMS, check_count, some_of

TRANSFORMS = "coordinateTransformations"
SYSTEMS = "coordinateSystems"

_MAX_SYSTEMS = 100
_MAX_DEPTH = 10


@dataclass(frozen=True, slots=True)
class FlatMultiscale:
    """A multiscale in the words of OME-Zarr 0.5.

    Parameters
    ----------
    multiscale : dict
        With ``axes``, with scales and translations of each dataset, and without coordinate systems.
    unused : tuple of str
        The other coordinate systems of the image, and how they differ from the intrinsic one.
    intrinsic : str
        Name of the intrinsic system.
    """

    multiscale: dict[str, Any]
    unused: tuple[str, ...]
    intrinsic: str

    def notes(self, place: str) -> tuple[str, ...]:
        """A line for people about the systems that are not used; empty if there are none."""
        if not self.unused:
            return ()
        named = some_of(self.unused, len(self.unused))
        return (
            f"{place}: sizes and places are those of the coordinate system {self.intrinsic!r}, to "
            f"which its levels map, and not those of {named}",
        )


def flattened(multiscale: dict[str, Any], where: str) -> FlatMultiscale:
    """Rewrite a multiscale of OME-Zarr 0.6.

    Raises
    ------
    ImageError
        If the levels map to no system or to several, or by a transformation that is not made of
        scales and translations.
    """
    systems = _systems(multiscale.get(SYSTEMS), f"{where}: {SYSTEMS}")
    datasets = ngff.parse_list(multiscale.get("datasets"), f"{where}: datasets")
    if not datasets:
        raise ImageError(f"{where}: datasets is empty, so the image has no levels")
    outputs: list[str] = []
    flat = []
    for k, item in enumerate(datasets):
        place = f"{where}: datasets[{k}]"
        dataset = ngff.parse_object(item, place)
        transform = _only_transform(dataset.get(TRANSFORMS), f"{place}.{TRANSFORMS}")
        place = f"{place}.{TRANSFORMS}[0]"
        _check_input(transform, place)
        outputs.append(_output(transform, systems, place))
        flat.append((dataset, transform, place))
    if len(set(outputs)) > 1:
        raise ImageError(
            f"{where}: its levels map to the coordinate systems "
            f"{', '.join(map(repr, dict.fromkeys(outputs)))}; all levels of an image map to one"
        )
    axes = systems[outputs[0]]
    rest = {key: value for key, value in multiscale.items() if key not in (TRANSFORMS, SYSTEMS)}
    levels = [
        dataset | {TRANSFORMS: _scaled_steps(transform, len(axes), place)}
        for dataset, transform, place in flat
    ]
    outer = _outer(multiscale.get(TRANSFORMS), outputs[0], f"{where}: {TRANSFORMS}")
    return FlatMultiscale(rest | {"axes": axes, "datasets": levels}, outer, outputs[0])


def _systems(stated: object, where: str) -> dict[str, list[Any]]:
    """Axes of each coordinate system, by its name."""
    if stated is None:
        raise ImageError(f"{where} is missing; OME-Zarr 0.6 needs it: add it, or state version 0.5")
    listed = ngff.parse_list(stated, where)
    check_count(len(listed), _MAX_SYSTEMS, where, "coordinate systems")
    systems: dict[str, list[Any]] = {}
    for k, item in enumerate(listed):
        system = ngff.parse_object(item, f"{where}[{k}]")
        name = system.get("name")
        if not isinstance(name, str) or not name:
            raise ImageError(f"{where}[{k}] has the name {reprlib.repr(name)}; give it a name")
        if name in systems:
            raise ImageError(f"{where}: {name!r} occurs twice; give each system its own name")
        systems[name] = ngff.parse_list(system.get("axes"), f"{where}[{k}].axes")
    return systems


def _only_transform(stated: object, where: str) -> dict[str, Any]:
    listed = ngff.parse_list(stated, where)
    if len(listed) != 1:
        raise ImageError(
            f"{where} has {len(listed)} transformations; a level of OME-Zarr 0.6 has one: put "
            "several into a sequence"
        )
    return ngff.parse_object(listed[0], f"{where}[0]")


def _check_input(transform: dict[str, Any], where: str) -> None:
    """Raise an ImageError if a transformation of a level does not begin at an array."""
    stated = transform.get("input")
    # The path may differ from that of the level, which then counts.
    if not _reference(stated)[0] and not isinstance(stated, str):
        raise ImageError(
            f"{where}.input is {reprlib.repr(stated)}; the transformation of a level begins at its "
            "array: write the path of that"
        )


def _output(transform: dict[str, Any], systems: dict[str, list[Any]], where: str) -> str:
    """Name of the system to which a level maps."""
    stated = transform.get("output")
    path, name = _reference(stated)
    if path or name not in systems:
        raise ImageError(
            f"{where}.output is {reprlib.repr(stated)}; a level maps to one of the coordinate "
            f"systems of its image: {some_of(map(repr, systems), len(systems)) or 'none is listed'}"
        )
    return name


def _reference(stated: object) -> tuple[str, str]:
    """Path and name of a coordinate system. Drafts of OME-Zarr 0.6 have the name alone."""
    if isinstance(stated, str):
        return "", stated
    entry = stated if isinstance(stated, dict) else {}
    path, name = entry.get("path"), entry.get("name")
    return (path if isinstance(path, str) else ""), (name if isinstance(name, str) else "")


def _scaled_steps(transform: dict[str, Any], ndim: int, where: str) -> list[dict[str, Any]]:
    """Scales and translations of a level, of which one at least is a scale."""
    steps = list(_steps(transform, ndim, where))
    if all(step.get("type") != "scale" for step in steps):
        raise ImageError(f"{where} states no scale; write identity or a scale, too")
    return steps


def _steps(
    transform: dict[str, Any], ndim: int, where: str, depth: int = 0
) -> Iterator[dict[str, Any]]:
    """Scales and translations that make up a transformation, in the order of their use."""
    kind = transform.get("type")
    if kind in ("scale", "translation"):
        yield transform
    elif kind == "identity":
        # A scale of 1 is stated by it. Without any scale, earlier versions leave the size open.
        yield {"type": "scale", "scale": [1.0] * ndim}
    elif kind == "sequence":
        listed = ngff.parse_list(transform.get("transformations"), f"{where}.transformations")
        check_count(len(listed), MAX_TRANSFORMS, where, "transformations")
        check_count(depth, _MAX_DEPTH, where, "sequences inside each other")
        if not listed:
            raise ImageError(f"{where}.transformations is empty; write identity if that is meant")
        for k, item in enumerate(listed):
            place = f"{where}.transformations[{k}]"
            yield from _steps(ngff.parse_object(item, place), ndim, place, depth + 1)
    else:
        raise ImageError(
            f"{where} has type {reprlib.repr(kind)}; from a level to its coordinate system, "
            "bigunet reads scale, translation, identity and sequences of them: resample the image "
            "to such a system"
        )


def _outer(stated: object, intrinsic: str, where: str) -> tuple[str, ...]:
    """Each system of the image with other places than the intrinsic one, and how they differ."""
    listed = [] if stated is None else ngff.parse_list(stated, where)
    check_count(len(listed), MAX_TRANSFORMS, where, "transformations")
    unused = []
    for k, item in enumerate(listed):
        transform = ngff.parse_object(item, f"{where}[{k}]")
        ends = [_reference(transform.get(end)) for end in ("input", "output")]
        if not all(name for _, name in ends):
            raise ImageError(
                f"{where}[{k}] has input {reprlib.repr(transform.get('input'))} and output "
                f"{reprlib.repr(transform.get('output'))}; name a coordinate system in both"
            )
        kind = transform.get("type")
        others = [name for path, name in ends if not path and name != intrinsic]
        if kind != "identity" and others:
            unused.append(f"{others[0]!r} ({kind if isinstance(kind, str) else 'no type'})")
    return tuple(dict.fromkeys(unused))
