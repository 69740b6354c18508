"""Slabs of a swept tile: which numbers of planes are worth trying, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from bigunet.errors import OptionError
from bigunet.geometry import Point, ceil_div
from bigunet.model.inference.openvino_module import has_openvino
from bigunet.model.inference.sweep import can_sweep, check_can_sweep
from bigunet.model.inference.sweep_plan import swept_activations
from bigunet.model.model import Model
from bigunet.model.networks.unet import UNetConfig
from bigunet.options.convolution_kind import is_winograd
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.tile_choice import TileCost

# How much longer torch takes for a swept pass than OpenVINO for a tile at once with as many
# operations, by the number of axes. In 2D, torch was up to 3 times as slow for narrow networks.
_SLOWER = {2: 2.0, 3: 1.2}
# What a step takes besides its operations: 2.4 ms were measured on a core; on a GPU it is the start
# of some 80 kernels.
_STEP_SECONDS, _STEP_SECONDS_OF_GPU = 2.4e-3, 8e-4
# Slabs in strides. On a CPU, slabs of 2 and 4 strides took 10 and 20 % more time in bf16, because
# the system clears large memory each time that it is taken.
_STRIDES, _STRIDES_OF_GPU = (0.5, 1), (1, 2, 4, 8, 16)


def slab_choices(model: Model, options: SegmentOptions, *, on_gpu: bool = False) -> tuple[int, ...]:
    """The slabs that a plan may choose among, for a model and options; 0 is a tile at once.

    Parameters
    ----------
    model : Model
    options : SegmentOptions
    on_gpu : bool
        Whether all workers have a GPU.

    Raises
    ------
    OptionError
        If a slab is asked for, and the model, its backend or the blend cannot be swept.
    """
    if options.slab != "auto":
        if options.slab and options.blend:
            raise OptionError("--blend and --slab: give one of them")
        if options.slab:
            check_can_sweep(model.module, options.backend, options.convolution, options.precision)
        return (options.slab,)
    in_torch = options.backend in ("auto", "torch") and not is_winograd(options.convolution)
    in_torch = in_torch and options.precision != "int8"
    if options.tile_shape or options.blend or not in_torch or not can_sweep(model.module):
        return (0,)
    stride = model.receptive_field.stride[0]
    strides = _STRIDES_OF_GPU if on_gpu else _STRIDES
    return (0, *(int(stride * times) for times in strides))


def swept_seconds(seconds: float, shape: Point, slab: int, *, on_gpu: bool = False) -> float:
    """The time of a pass that takes ``slab`` planes at a time, from that of a pass at once.

    Parameters
    ----------
    seconds : float
        Time of the pass at once.
    shape : tuple of int
        Spatial shape of its input.
    slab : int
        0 for a tile at once.
    on_gpu : bool
        Whether a GPU computes; torch computes there in any case.
    """
    if not slab:
        return seconds
    slower = 1.0 if on_gpu or not has_openvino() else _SLOWER[len(shape)]
    step = _STEP_SECONDS_OF_GPU if on_gpu else _STEP_SECONDS
    return slower * seconds + ceil_div(shape[0], slab) * step


def swept_memory(
    model: Model, slab: int, *, number_bytes: float, dtype: np.dtype
) -> Callable[[Point], int]:
    """A function from the spatial shape of a tile to the memory of its swept pass, in bytes.

    Parameters
    ----------
    model : Model
        A U-Net.
    slab : int
        Planes that a step takes.
    number_bytes : float
        Bytes to plan for each value of the network.
    dtype : numpy.dtype
        Type of the image's voxels.
    """
    config = model.module.config
    assert isinstance(config, UNetConfig)
    classes = len(model.description.classes)

    def memory(shape: Point) -> int:
        activations = swept_activations(config, shape, slab)
        # The pixels of the whole tile, and its labels and probabilities as bytes.
        pixels = config.in_channels * _pixel_bytes(dtype) * math.prod(shape)
        results = (1 + classes) * math.prod(model.receptive_field.scores_shape(shape))
        # The network's inputs and the scores of a slab, in fp32.
        of_slab = 4 * (2 * config.in_channels + 3 * classes) * slab * math.prod(shape[1:])
        return int(number_bytes * activations) + pixels + results + of_slab

    return memory


def cheapest_first(candidates: Sequence[TileCost], limit_bytes: int) -> list[TileCost]:
    """The candidates that fit the memory, the cheapest first; if none does, the smallest alone."""
    fitting = [one for one in candidates if one.memory_bytes <= limit_bytes]
    if not fitting:
        return [min(candidates, key=lambda one: (one.memory_bytes, one.cost))]
    return sorted(fitting, key=lambda one: (one.cost, one.memory_bytes))


def _pixel_bytes(dtype: np.dtype) -> int:
    """Bytes of a voxel on its way to the network: as it is read, and in a type of torch's."""
    if dtype == np.uint16:
        return dtype.itemsize + 4
    wide = dtype.itemsize > (4 if dtype.kind == "f" else 2)
    return dtype.itemsize + (8 if wide else 0)
