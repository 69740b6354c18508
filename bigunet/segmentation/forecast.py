"""Forecasts the time and the memory of a run, from a few tiles that are run on this machine."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bigunet.geometry import Box, Point
from bigunet.io.files.opening import open_level
from bigunet.io.output.arrays import create_arrays
from bigunet.io.output.writer import OutputWriter
from bigunet.machine.cores import cores
from bigunet.model.inference.inputs import GreyRange
from bigunet.options.choices import Output
from bigunet.segmentation.output_kinds import OUTPUT_KINDS
from bigunet.segmentation.pass_times import pass_times
from bigunet.segmentation.place import place_at, usual_version
from bigunet.segmentation.plan.memory_share import run_bytes
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.plan.selection import selected_tiles
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.segmentation.run.outputs import describe_outputs

_MOST_BLOCKS_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected time and memory of a run on one worker that has all cores of this machine.

    Parameters
    ----------
    seconds : float
        Time from the first block to the last byte.
    start_seconds : float
        Time until a worker has loaded the network, and compiled it for each shape of tile.
    compute_seconds, read_seconds, write_seconds : float
        Time to compute; to read and decode pixels; to encode and write labels. Reading and writing
        overlap with computing.
    block_seconds : float
        Time of one whole block, from its first voxel to its last byte.
    memory_bytes : int
        Peak memory of all processes.
    device, backend, precision : str
        What the measured tiles ran on.
    """

    seconds: float
    start_seconds: float
    compute_seconds: float
    read_seconds: float
    write_seconds: float
    block_seconds: float
    memory_bytes: int
    device: str
    backend: str
    precision: str

    @property
    def gpu_hours(self) -> float | None:
        """Hours of the device if it is a GPU, else None."""
        return self.seconds / 3600 if self.device.startswith("cuda") else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        hours = self.gpu_hours
        return {
            **{k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()},
            "gpu_hours": None if hours is None else round(hours, 4),
        }


def forecast(plan: SegmentPlan) -> Forecast:
    """Run a tile, read a block, write a block, and multiply by their numbers.

    The share that the options ``skip_empty`` and ``mask`` leave out is estimated from some blocks.
    Repeated tiles count as if each were computed.

    Raises
    ------
    BigUNetError
        If the image cannot be read or the network not be run, the same error as in the run.
    """
    choices = DeviceChoices(
        plan.options.device,
        plan.options.backend,
        plan.precision,
        convolution=plan.options.convolution,
        slab=plan.slab,
    )
    grey = GreyRange((0.0,) * len(plan.channels), (255.0,) * len(plan.channels))
    begun = time.perf_counter()
    predictor = choices.predictor(plan.model, grey)
    start = time.perf_counter() - begun
    block = _middle_block(plan)
    passes = pass_times(plan, predictor, _tile_shape(plan, block))
    kinds = plan.kinds_of_blocks()
    start += passes.compile_seconds * len({_tile_shape(plan, box) for box, _ in kinds})
    tiles, blocks = _selected_shares(plan)
    compute = tiles * sum(
        times * plan.tiling.num_tiles(box) * passes.seconds(_tile_shape(plan, box))
        for box, times in kinds
    )
    read, write = _io_seconds(plan, block)
    of_block = plan.tiling.num_tiles(block) * passes.seconds(_tile_shape(plan, block))
    one_block = read + of_block + write
    share = plan.region.size / block.size
    read, write = blocks * read * share, write * share
    io_seconds = read + write
    device = str(predictor.device)
    on_gpu = device.startswith("cuda")
    total = max(compute, io_seconds / cores()) if on_gpu else compute + io_seconds / cores()
    return Forecast(
        seconds=start + total,
        start_seconds=start,
        compute_seconds=compute,
        read_seconds=read,
        write_seconds=write,
        block_seconds=one_block,
        memory_bytes=_peak_bytes(plan, on_gpu=on_gpu),
        device=device,
        backend=predictor.backend,
        precision=plan.precision,
    )


def _peak_bytes(plan: SegmentPlan, *, on_gpu: bool) -> int:
    """Peak memory of all processes; a forward pass on a GPU takes none of it."""
    block_bytes = plan.block_memory_bytes()
    first, _ = plan.kinds_of_blocks()[0]
    pass_bytes = plan.pass_bytes(_tile_shape(plan, first))
    return run_bytes(
        plan.share.blocks_in_work(block_bytes) * block_bytes, 0 if on_gpu else pass_bytes
    )


def _selected_shares(plan: SegmentPlan) -> tuple[float, float]:
    """Share of the tiles that are computed, and of the blocks that are read, in a sample."""
    grid = plan.grid
    if not plan.selection.parts:
        return 1.0, 1.0
    count = min(grid.num_blocks, _MOST_BLOCKS_LOOKED_AT)
    computed = tiles = read = 0
    # A random sample, because blocks at equal distances could all lie on one line.
    for number in np.random.default_rng(0).choice(grid.num_blocks, count, replace=False):
        box = grid.box(tuple(map(int, np.unravel_index(number, grid.shape))))
        selected = selected_tiles(plan.tiling, box, plan.selection.read(box))
        computed += len(selected)
        tiles += plan.tiling.num_tiles(box)
        read += bool(selected)
    return computed / tiles, read / count


def _tile_shape(plan: SegmentPlan, box: Box) -> Point:
    """Spatial shape of the input of each tile of a block."""
    return next(plan.tiling.tiles(box)).input.shape[-plan.network_axes :]


def _middle_block(plan: SegmentPlan) -> Box:
    grid = plan.grid
    last = [(n - 1) // b for n, b in zip(grid.region.shape, grid.block_shape)]
    return grid.box(tuple(n // 2 for n in last))


def _io_seconds(plan: SegmentPlan, block: Box) -> tuple[float, float]:
    """Seconds to read a block with its halo, and to write one to a temporary folder."""
    reader = open_level(plan.image, level=plan.level, channels=plan.channels)
    begun = time.perf_counter()
    pixels = reader.read(plan.tiling.read_box(block))
    read = time.perf_counter() - begun
    # A threshold gives labels that are about as easy to compress as real ones.
    inside = tuple(slice(0, n) for n in block.shape)
    labels = (pixels[0][inside] > np.median(pixels[0][inside])).astype(np.uint8)
    with tempfile.TemporaryDirectory(prefix="bigunet-") as folder:
        place = place_at(folder, usual_version(plan.options.ome_version))
        outputs = describe_outputs(plan, place)
        for output in outputs.values():
            create_arrays(output)
        local = block.shift(tuple(-v for v in plan.region.start))
        begun = time.perf_counter()
        for name, output in outputs.items():
            OutputWriter(output).write_block(0, local, _values(plan, name, labels))
        return read, time.perf_counter() - begun


def _values(plan: SegmentPlan, output: Output, labels: np.ndarray) -> np.ndarray:
    kind = OUTPUT_KINDS[output]
    if not kind.per_class:
        return labels.astype(kind.dtype)
    return np.stack([labels * 255] * len(plan.model.description.classes)).astype(kind.dtype)
