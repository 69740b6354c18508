"""Shapes of blocks and tiles: those of the user, or the cheapest ones that fit the memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bigunet.errors import OptionError
from bigunet.geometry import Box, Point
from bigunet.io.output.extents import default_block_shape, halved_block_shape
from bigunet.model.inference.backend import network_in
from bigunet.model.inference.flops import flop_counter
from bigunet.model.model import Model
from bigunet.model.networks.network import Network
from bigunet.options.choices import Precision
from bigunet.receptive import ReceptiveField
from bigunet.segmentation.plan.pass_costs import pass_cost
from bigunet.segmentation.plan.slabs import cheapest_first, swept_memory, swept_seconds
from bigunet.segmentation.plan.tile_flops import interpolated
from bigunet.tile_choice import TileCost, tile_costs

# More memory saves little in 2D: a 16-wide network took 5 % more time with half of it, and 4 % less
# with four times as much.
_LARGEST_PLANE_BYTES = 1_000_000_000
_NUMBER_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
# Measured peaks, with grey values and scores in fp32, were 0.7 to 1.3 times the activations.
_MARGIN = 1.2
# Numbers per voxel that are assumed for a module of unknown structure: those of a 64-wide U-Net.
_UNKNOWN_ACTIVATIONS = 256
_BYTE = np.dtype(np.uint8)


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
    slabs: Sequence[int] = (0,),
    on_gpu: bool = False,
    dtype: np.dtype = _BYTE,
) -> tuple[Point, int]:
    """Shape of the voxels that one forward pass keeps, and the planes of its slabs.

    The shape is the one asked for, or a chosen one; then the slab is chosen, too.

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
    slabs : sequence of int
        The possible numbers of planes of a slab; 0 is a tile at once. With a shape that is asked
        for, the first one is taken.
    on_gpu : bool
        Whether a GPU of NVIDIA computes.
    dtype : numpy.dtype
        Type of the image's voxels.

    Raises
    ------
    OptionError
        If the shape has other axes than the network.
    """
    if asked and len(asked) != model.ndim:
        raise OptionError(f"tile shape {asked} has {len(asked)} axes; the network {model.ndim}")
    if asked:
        return (1,) * (field.ndim - model.ndim) + asked, slabs[0]
    if model.ndim == 2:
        limit_bytes = min(limit_bytes, _LARGEST_PLANE_BYTES)
    best = tile_candidates(
        model,
        field,
        block,
        precision=precision,
        limit_bytes=limit_bytes,
        slabs=slabs,
        on_gpu=on_gpu,
        dtype=dtype,
    )[0]
    return best.tile, best.slab


def tile_candidates(
    model: Model,
    field: ReceptiveField,
    block: Box,
    *,
    precision: Precision,
    limit_bytes: int,
    slabs: Sequence[int] = (0,),
    on_gpu: bool = False,
    dtype: np.dtype = _BYTE,
) -> list[TileCost]:
    """Ways to cut a block into tiles that fit the memory; the first takes the least time.

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
    slabs : sequence of int
        The possible numbers of planes of a slab; 0 is a tile at once.
    on_gpu : bool
        Whether a GPU of NVIDIA computes.
    dtype : numpy.dtype
        Type of the image's voxels.
    """
    flops_of = interpolated(
        flop_counter(model.module, in_channels=model.in_channels),
        model.receptive_field,
        block.shape[-model.ndim :],
    )
    cost = pass_cost(precision, on_gpu=on_gpu)

    def cost_of(shape: Point) -> float:
        return cost.seconds(voxels=math.prod(shape), flops=flops_of(shape[-model.ndim :]))

    def candidates(slab: int) -> list[TileCost]:
        memory = pass_memory(model, precision, slab=slab, dtype=dtype)

        def swept(shape: Point) -> float:
            return swept_seconds(cost_of(shape), shape[-model.ndim :], slab, on_gpu=on_gpu)

        found = tile_costs(
            field,
            block,
            cost=swept,
            memory_bytes=lambda shape: memory(shape[-model.ndim :]),
            limit_bytes=limit_bytes,
            num_seen=model.ndim,
        )
        return [replace(candidate, slab=slab) for candidate in found]

    return cheapest_first([one for slab in slabs for one in candidates(slab)], limit_bytes)


def pass_memory(
    model: Model, precision: Precision, *, slab: int = 0, dtype: np.dtype = _BYTE
) -> Callable[[Point], int]:
    """A function from the spatial shape of an input to the memory of its forward pass, in bytes.

    Parameters
    ----------
    model : Model
    precision : {"fp32", "bf16", "fp16"}
    slab : int
        Planes that the pass takes at a time; 0 if it takes the tile at once.
    dtype : numpy.dtype
        Type of the image's voxels, which a swept pass holds.
    """
    if slab:
        return swept_memory(
            model, slab, number_bytes=_MARGIN * _NUMBER_BYTES[precision], dtype=dtype
        )
    module = network_in(model.module)

    def memory(shape: Point) -> int:
        activations = (
            module.config.activations(shape)
            if isinstance(module, Network)
            else _UNKNOWN_ACTIVATIONS * math.prod(shape)
        )
        in_and_out = 2 * (model.in_channels + len(model.description.classes)) * math.prod(shape)
        return (
            int(_MARGIN * _NUMBER_BYTES[precision] * activations)
            + _NUMBER_BYTES["fp32"] * in_and_out
        )

    return memory
