"""Levels of an output: those of its own, or those of the image that gets labels."""

from __future__ import annotations

from bigunet.errors import GeometryError, OptionError
from bigunet.geometry import Point
from bigunet.io.images.multiscale import ImageDescription
from bigunet.io.output.extents import chunk_limit
from bigunet.io.output.layout import PyramidLayout, lay_out, plan_pyramid


def own_layout(
    image: ImageDescription, shape: Point, block: Point, network_ndim: int
) -> PyramidLayout:
    """Levels of an output of its own: the axes that the network sees are halved from each level.

    Parameters
    ----------
    image : ImageDescription
    shape, block : tuple of int
        Of the region and of a block of it, along the volume axes of the image.
    network_ndim : int
        Number of the last axes that the network sees.
    """
    leading = len(shape) - network_ndim
    return plan_pyramid(
        shape,
        block,
        downsampled=tuple(axis >= leading for axis in range(len(shape))),
        chunk_limit=_chunk_limit(image, len(shape), network_ndim),
    )


def image_layout(image: ImageDescription, block: Point, network_ndim: int) -> PyramidLayout:
    """Levels of labels inside an image: the levels of this image.

    Raises
    ------
    OptionError
        If labels cannot have these levels.
    """
    shapes = [image.volume_shape(level) for level in range(len(image.levels))]
    try:
        limit = _chunk_limit(image, len(block), network_ndim)
        return lay_out(shapes, block, chunk_limit=limit)
    except GeometryError as error:
        raise OptionError(
            f"labels cannot follow the levels of {image.url}: {error}; give an OUT"
        ) from error


def _chunk_limit(image: ImageDescription, ndim: int, network_ndim: int) -> Point:
    # Viewers show planes across z: of planes across x, each would cut all chunks.
    return chunk_limit(network_ndim if image.slice_axis == "z" else 3, ndim)
