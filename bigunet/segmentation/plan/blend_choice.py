"""Whether tiles are blended, and which: refuses networks that are not exact without a blend."""

from __future__ import annotations

from bigunet.blend_tiling import BlendTiling
from bigunet.errors import InexactError, OptionError
from bigunet.geometry import Point
from bigunet.model.model import Model
from bigunet.model.probing.whole_tiles import check_tile
from bigunet.options.short_repr import shown_shape
from bigunet.segmentation.segment_options import SegmentOptions


def blend_tiling(model: Model, options: SegmentOptions, shape: Point) -> BlendTiling | None:
    """The overlapping tiles that the options ask for; None for exact tiles.

    Parameters
    ----------
    model : Model
    options : SegmentOptions
    shape : tuple of int
        Shape of the whole level, along the axes of the volume.

    Raises
    ------
    InexactError
        If the model cannot be exact, and the options ask for no blend.
    OptionError
        If the shape of the tile is missing, or no shape that the network takes.
    """
    name = model.description.name
    if not options.blend:
        if not model.exact:
            raise InexactError(
                f"model {name!r} cannot be exact: its output depends on the tile; to run it all "
                "the same, blended and not exact, give --blend and --tile-shape"
            )
        return None
    if options.backend == "openvino":
        raise OptionError("--blend runs with torch: leave out --backend openvino")
    tile = options.tile_shape
    if not tile:
        known = f", such as {','.join(map(str, model.tile_shape))}" if model.tile_shape else ""
        raise OptionError(f"--blend needs the shape of its tiles: give --tile-shape{known}")
    if len(tile) != model.ndim:
        raise OptionError(f"tile shape {tile} has {len(tile)} axes; the network {model.ndim}")
    border = model.receptive_field.border
    if any(n <= 2 * b for n, b in zip(tile, border)):
        raise OptionError(f"tile shape {shown_shape(tile)} is all border: give a larger one")
    check_tile(model.module, in_channels=model.in_channels, shape=tile, border=border)
    others = len(shape) - model.ndim
    return BlendTiling(shape, (1,) * others + tile, (0,) * others + border)
