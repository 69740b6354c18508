"""Where labels without a place of their own lie over an image: on the level of their shape."""

from __future__ import annotations

from dataclasses import replace

from bigunet.errors import LabelsError
from bigunet.io.images.multiscale import ImageDescription, Level, Multiscale
from bigunet.options.short_repr import shown_shape
from bigunet.stores.access import shown_url


def placed_over(labels: ImageDescription, image: ImageDescription) -> ImageDescription:
    """The label image with a place in the space of the image.

    OME-Zarr states a place, which counts. Labels of another format lie on the level of the image
    that has their shape.

    Raises
    ------
    LabelsError
        If the labels do not state where they lie, and no level of the image has their shape.
    """
    if isinstance(labels, Multiscale) and labels.version:
        return labels
    extents = _extents(labels)
    for level in range(len(image.levels)):
        shape = dict(zip(image.volume_axes, image.volume_shape(level)))
        if {axis: n for axis, n in shape.items() if axis in extents} == extents:
            return _on_level(labels, image, level)
    shapes = ", ".join(shown_shape(image.volume_shape(k)) for k in range(len(image.levels)))
    raise LabelsError(
        f"{shown_url(labels.url)} has {shown_shape(labels.volume_shape())} voxels and does not "
        f"state where it lies over {shown_url(image.url)}, which has {shapes}: give labels of one "
        "of these shapes, or an OME-Zarr"
    )


def _extents(image: ImageDescription) -> dict[str, int]:
    return dict(zip(image.volume_axes, image.volume_shape()))


def _on_level(labels: ImageDescription, image: ImageDescription, level: int) -> ImageDescription:
    """The labels with units, scale and translation of a level of the image."""
    scales = dict(zip(image.volume_axes, image.volume_scale(level)))
    starts = dict(zip(image.volume_axes, image.volume_translation(level)))
    axes = tuple(
        replace(axis, unit=image.unit(axis.name)) if axis.name in scales else axis
        for axis in labels.axes
    )
    names = [axis.name for axis in axes]
    first = labels.levels[0]

    def placed(one: Level) -> Level:
        factors = [a / b for a, b in zip(one.scale, first.scale)]
        scale = [scales.get(name, 1.0) * f for name, f in zip(names, factors)]
        return replace(
            one,
            scale=tuple(scale),
            translation=tuple(
                starts.get(name, 0.0) + scales.get(name, 1.0) * (f - 1) / 2
                for name, f in zip(names, factors)
            ),
        )

    return replace(labels, axes=axes, levels=tuple(map(placed, labels.levels)))
