"""Shapes of blocks and tiles: as the user asked, or as memory and caches like them."""

from __future__ import annotations

from bigunet.errors import OptionError
from bigunet.geometry import Point
from bigunet.io.extents import default_block_shape
from bigunet.model.model import Model
from bigunet.model.network import Network

# A 16-wide network was half again as fast with tiles of 900² as of 1924²: caches.
_LARGEST_TILE = {2: 768, 3: 192}
_TILE_MEMORY_BYTES = 1_500_000_000
# Of a module of the caller's: as many as a 64-wide U-Net holds.
_UNKNOWN_TILE_CHANNELS = 256


def block_shape(shape: Point, ndim: int, wanted: Point) -> Point:
    """Shape of a block of a volume, from what was asked for; empty chooses.

    Raises
    ------
    OptionError
        If it has neither the network's ``ndim`` axes nor the volume's.
    """
    if not wanted:
        return default_block_shape(shape, network_ndim=ndim)
    if len(wanted) not in (ndim, len(shape)):
        raise OptionError(
            f"block shape {wanted} has {len(wanted)} axes; give {ndim} (the network's) or "
            f"{len(shape)} (the volume's)"
        )
    return (1,) * (len(shape) - len(wanted)) + wanted


def tile_shape(model: Model, ndim: int, wanted: Point) -> Point:
    """Shape of what one forward pass keeps, of a volume of ``ndim`` axes; empty chooses.

    Raises
    ------
    OptionError
        If it has not the network's axes.
    """
    if wanted and len(wanted) != model.ndim:
        raise OptionError(f"tile shape {wanted} has {len(wanted)} axes; the network {model.ndim}")
    return (1,) * (ndim - model.ndim) + (wanted or _default_tile_shape(model))


def _default_tile_shape(model: Model) -> Point:
    """As large as the memory of one forward pass allows, up to what caches like."""
    channels = _UNKNOWN_TILE_CHANNELS
    if isinstance(model.module, Network):
        channels = model.module.config.tile_channels
    voxels = _TILE_MEMORY_BYTES // (4 * channels)  # fp32
    field = model.receptive_field
    extent = int(voxels ** (1 / model.ndim)) - 2 * field.halo[0]
    extent = max(field.stride[0], min(_LARGEST_TILE[model.ndim], extent))
    return (extent,) * model.ndim
