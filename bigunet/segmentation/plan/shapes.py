"""Shapes of blocks and tiles: those of the user, or the cheapest ones that fit the memory."""

from __future__ import annotations

import math
from collections.abc import Callable

from bigunet.errors import OptionError
from bigunet.geometry import Box, Point
from bigunet.io.output.extents import default_block_shape, halved_block_shape
from bigunet.model.inference.backend import network_in
from bigunet.model.inference.flops import flop_counter
from bigunet.model.model import Model
from bigunet.model.networks.network import Network
from bigunet.options.choices import Precision
from bigunet.receptive import ReceptiveField
from bigunet.tile_choice import TileCost, tile_costs

# More memory saves little in 2D: a 16-wide network took 5 % more time with half of it, and 4 % less
# with four times as much.
_LARGEST_PLANE_BYTES = 1_000_000_000
# In int8, the first layer gives four bytes for each number, and all layers together one.
_NUMBER_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 2.5}
# Measured peaks, with grey values and scores in fp32, were 0.7 to 1.3 times the activations.
_MARGIN = 1.2
# A pass takes some 4 ms besides its operations, on a core that does 100 to 200 GFLOP/s. Without
# this, a network that computes nothing twice would get the smallest tiles.
_PASS_FLOPS, _PASS_VOXELS = 500_000_000, 50_000
# Numbers per voxel that are assumed for a module of unknown structure: those of a 64-wide U-Net.
_UNKNOWN_ACTIVATIONS = 256


def block_shape(
    shape: Point,
    ndim: int,
    asked: Point,
    *,
    memory_bytes: Callable[[Point], int],
    limit_bytes: int,
) -> Point:
    """Shape of a block of a volume: the one that the user asks for, or a chosen one.

    Parameters
    ----------
    shape : tuple of int
        Shape of the volume.
    ndim : int
        Number of axes that the network sees.
    asked : tuple of int
        Shape that the user asks for; empty to choose one.
    memory_bytes : callable
        Gives the memory of a block of some shape, with its halo and outputs.
    limit_bytes : int
        The most memory that a chosen block should take.

    Raises
    ------
    OptionError
        If the shape has the axes of neither the network nor the volume.
    """
    if not asked:
        block = default_block_shape(shape, network_ndim=ndim)
        while memory_bytes(block) > limit_bytes:
            smaller = halved_block_shape(block, network_ndim=ndim)
            if smaller == block:
                break
            block = smaller
        return block
    if len(asked) not in (ndim, len(shape)):
        raise OptionError(
            f"block shape {asked} has {len(asked)} axes; give {ndim} (the network's) or "
            f"{len(shape)} (the volume's)"
        )
    return (1,) * (len(shape) - len(asked)) + asked


def tile_shape(
    model: Model,
    field: ReceptiveField,
    block: Box,
    asked: Point,
    *,
    precision: Precision,
    limit_bytes: int,
) -> Point:
    """Shape of the voxels that one forward pass keeps: the one asked for, or a chosen one.

    Parameters
    ----------
    model : Model
    field : ReceptiveField
        Receptive field of the model, with the axes of the volume.
    block : Box
        The largest block.
    asked : tuple of int
        Shape that the user asks for, along the network's axes; empty to choose one.
    precision : {"fp32", "bf16", "fp16"}
    limit_bytes : int
        The most memory that one forward pass may take.

    Raises
    ------
    OptionError
        If the shape has other axes than the network.
    """
    if asked and len(asked) != model.ndim:
        raise OptionError(f"tile shape {asked} has {len(asked)} axes; the network {model.ndim}")
    if asked:
        return (1,) * (field.ndim - model.ndim) + asked
    if model.ndim == 2:
        limit_bytes = min(limit_bytes, _LARGEST_PLANE_BYTES)
    candidates = tile_candidates(model, field, block, precision=precision, limit_bytes=limit_bytes)
    return candidates[0].tile


def tile_candidates(
    model: Model, field: ReceptiveField, block: Box, *, precision: Precision, limit_bytes: int
) -> list[TileCost]:
    """Ways to cut a block into tiles that fit the memory; the first needs the fewest operations.

    Parameters
    ----------
    model : Model
    field : ReceptiveField
        Receptive field of the model, with the axes of the volume.
    block : Box
        The largest block.
    precision : {"fp32", "bf16", "fp16"}
    limit_bytes : int
        The most memory that one forward pass may take.
    """
    cost = flop_counter(model.module, in_channels=model.in_channels)

    def cost_of(shape: Point) -> float:
        flops = cost(shape[-model.ndim :])
        return _PASS_VOXELS + math.prod(shape) if flops is None else _PASS_FLOPS + flops

    memory = pass_memory(model, precision)
    return tile_costs(
        field,
        block,
        cost=cost_of,
        memory_bytes=lambda shape: memory(shape[-model.ndim :]),
        limit_bytes=limit_bytes,
        num_seen=model.ndim,
    )


def pass_memory(model: Model, precision: Precision) -> Callable[[Point], int]:
    """A function from the spatial shape of an input to the memory of its forward pass, in bytes."""
    module = network_in(model.module)

    def memory(shape: Point) -> int:
        activations = (
            module.config.activations(shape)
            if isinstance(module, Network)
            else _UNKNOWN_ACTIVATIONS * math.prod(shape)
        )
        in_and_out = 2 * (model.in_channels + len(model.description.classes)) * math.prod(shape)
        return int(_MARGIN * _NUMBER_BYTES[precision] * activations) + 4 * in_and_out

    return memory
