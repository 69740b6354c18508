"""Shapes of blocks and tiles: as the user asked, or what costs least in the memory there is."""

from __future__ import annotations

import math
from collections.abc import Callable

from bigunet.choices import Precision
from bigunet.errors import OptionError
from bigunet.geometry import Box, Point
from bigunet.io.output.extents import default_block_shape, halved_block_shape
from bigunet.model.inference.backend import network_in
from bigunet.model.inference.flops import flop_counter
from bigunet.model.model import Model
from bigunet.model.networks.network import Network
from bigunet.receptive import ReceptiveField
from bigunet.tile_choice import TileCost, tile_costs

# Beyond it little is recomputed in a plane: a 16-wide network took 5 % more time with half of it,
# and 4 % less with four times as much.
_LARGEST_PLANE_BYTES = 1_000_000_000
_NUMBER_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
# Measured peaks were 0.7 to 1.3 times the activations, grey values and scores in fp32 included.
_MARGIN = 1.2
# Numbers per voxel of a module of the caller's: as many as a 64-wide U-Net holds.
_UNKNOWN_ACTIVATIONS = 256


def block_shape(
    shape: Point,
    ndim: int,
    wanted: Point,
    *,
    memory_bytes: Callable[[Point], int],
    limit_bytes: int,
) -> Point:
    """Shape of a block of a volume, from what was asked for; empty chooses.

    Parameters
    ----------
    shape : tuple of int
        Of the volume.
    ndim : int
        Axes that the network sees.
    wanted : tuple of int
        As asked for.
    memory_bytes : callable
        Of a block of some shape, with its halo and outputs.
    limit_bytes : int
        What a block that is chosen here should take.

    Raises
    ------
    OptionError
        If it has neither the network's axes nor the volume's.
    """
    if not wanted:
        block = default_block_shape(shape, network_ndim=ndim)
        while memory_bytes(block) > limit_bytes:
            smaller = halved_block_shape(block, network_ndim=ndim)
            if smaller == block:
                break
            block = smaller
        return block
    if len(wanted) not in (ndim, len(shape)):
        raise OptionError(
            f"block shape {wanted} has {len(wanted)} axes; give {ndim} (the network's) or "
            f"{len(shape)} (the volume's)"
        )
    return (1,) * (len(shape) - len(wanted)) + wanted


def tile_shape(
    model: Model,
    field: ReceptiveField,
    block: Box,
    wanted: Point,
    *,
    precision: Precision,
    limit_bytes: int,
) -> Point:
    """Shape of what one forward pass keeps of a block; empty chooses.

    Parameters
    ----------
    model : Model
    field : ReceptiveField
        The model's, with the axes of the volume.
    block : Box
        The largest.
    wanted : tuple of int
        As asked for, along the network's axes.
    precision : {"fp32", "bf16", "fp16"}
    limit_bytes : int
        Of one forward pass.

    Raises
    ------
    OptionError
        If it has not the network's axes.
    """
    if wanted and len(wanted) != model.ndim:
        raise OptionError(f"tile shape {wanted} has {len(wanted)} axes; the network {model.ndim}")
    if wanted:
        return (1,) * (field.ndim - model.ndim) + wanted
    if model.ndim == 2:
        limit_bytes = min(limit_bytes, _LARGEST_PLANE_BYTES)
    found = tile_candidates(model, field, block, precision=precision, limit_bytes=limit_bytes)
    return found[0].tile


def tile_candidates(
    model: Model, field: ReceptiveField, block: Box, *, precision: Precision, limit_bytes: int
) -> list[TileCost]:
    """Ways to cut a block into tiles that fit the memory, those of fewest operations first.

    Parameters
    ----------
    model : Model
    field : ReceptiveField
        The model's, with the axes of the volume.
    block : Box
        The largest.
    precision : {"fp32", "bf16", "fp16"}
    limit_bytes : int
        Of one forward pass.
    """
    cost = flop_counter(model.module, in_channels=model.in_channels)

    def cost_of(shape: Point) -> float:
        flops = cost(shape[-model.ndim :])
        return math.prod(shape) if flops is None else flops

    memory = pass_memory(model, precision)
    return tile_costs(
        field,
        block,
        cost=cost_of,
        memory_bytes=lambda shape: memory(shape[-model.ndim :]),
        limit_bytes=limit_bytes,
    )


def pass_memory(model: Model, precision: Precision) -> Callable[[Point], int]:
    """A function from an input's spatial shape to the bytes that a forward pass takes."""
    module = network_in(model.module)

    def memory(shape: Point) -> int:
        held = (
            module.config.activations(shape)
            if isinstance(module, Network)
            else _UNKNOWN_ACTIVATIONS * math.prod(shape)
        )
        whole = 2 * (model.in_channels + len(model.description.classes)) * math.prod(shape)
        return int(_MARGIN * _NUMBER_BYTES[precision] * held) + _NUMBER_BYTES["fp32"] * whole

    return memory
