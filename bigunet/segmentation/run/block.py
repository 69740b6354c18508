"""What a worker does for one block: read with halo, predict tile by tile, write whole shards."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigunet.blocks import BlockGrid
from bigunet.choices import Output
from bigunet.engine.stage import Index, Result
from bigunet.errors import StoppedError
from bigunet.geometry import Box, hull
from bigunet.io.images.volume import VolumeReader
from bigunet.io.output.block_files import Files
from bigunet.io.output.writer import OutputWriter
from bigunet.model.inference.forward import Prediction
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.recall import Awaited, RecallingPredictor
from bigunet.model.model import Model
from bigunet.segmentation.plan.memory_share import MOST_BLOCKS_IN_WORK
from bigunet.segmentation.plan.wanted import Wanted
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.segmentation.run.finite import FiniteVoxels
from bigunet.tiling import Tile, Tiling

# Workers of one process share the device: one forward pass at a time uses all its threads, while
# other blocks are read and written.
_DEVICE = threading.Lock()

# Up to so many, comparing is faster than counting all, which makes integers of 8 bytes.
_FEW_CLASSES = 8


class SegmentWork:
    """Segments blocks; pickled to each worker once, where the first block loads the model.

    Parameters
    ----------
    reader : VolumeReader
    writers : mapping of str to OutputWriter
    grid : BlockGrid
    tiling : Tiling
    wanted : Wanted
    finite : FiniteVoxels
    model : Model
    grey_range : GreyRange
    device : DeviceChoices
    blocks_in_work : int
        The most that a worker holds at a time, however many threads it has.
    """

    def __init__(
        self,
        reader: VolumeReader,
        writers: Mapping[Output, OutputWriter],
        *,
        grid: BlockGrid,
        tiling: Tiling,
        wanted: Wanted,
        finite: FiniteVoxels,
        model: Model,
        grey_range: GreyRange,
        device: DeviceChoices,
        blocks_in_work: int = MOST_BLOCKS_IN_WORK,
    ) -> None:
        self._reader = reader
        self._writers = dict(writers)
        self._grid = grid
        self._tiling = tiling
        self._wanted = wanted
        self._finite = finite
        self._model = model
        self._grey_range = grey_range
        self._device = device
        self._blocks_in_work = blocks_in_work
        self._begin()

    def _begin(self) -> None:
        self._predictor: RecallingPredictor | None = None
        self._abandoned = False
        self._room = threading.BoundedSemaphore(self._blocks_in_work)

    def __getstate__(self) -> dict[str, Any]:
        return {
            k: v for k, v in self.__dict__.items() if k not in ("_predictor", "_room", "_abandoned")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __call__(self, index: Index) -> Result:
        """Segment one block; its shares of time, and voxels of each class."""
        with self._room:
            return self._segment(index)

    def abandon(self) -> None:
        """See :class:`bigunet.engine.stage.Abandonable`: no further tile begins."""
        self._abandoned = True

    def _check_abandoned(self) -> None:
        if self._abandoned:
            raise StoppedError("the run has ended")

    def _segment(self, index: Index) -> Result:
        write = self._grid.box(index)
        begun = time.perf_counter()
        wanted = self._wanted.read(write)
        values, kept = self._empty_values(write), wanted
        told: Result = {"device": "", "backend": ""}
        told |= {"tiles_computed": 0, "bytes_read": 0, "compute_seconds": 0.0}
        read = computed = time.perf_counter()
        tiles = self._tiles(write, wanted)
        if tiles:
            source = hull(tile.input for tile in tiles)
            image = self._reader.read(source)
            told["bytes_read"] = image.nbytes
            kept = self._finite.kept(image, source, write, wanted)
            read = time.perf_counter()
            with _DEVICE:
                self._check_abandoned()
                told |= self._compute(image, source, write, wanted, values)
                computed = time.perf_counter()
            del image
        _clear_unwanted(values, kept)
        local = write.shift(tuple(-v for v in self._grid.region.start))
        files = Files()
        for output, writer in self._writers.items():
            files += writer.write_block(0, local, values[output])
        written = time.perf_counter()
        return {
            **told,
            "voxels": write.size,
            "counts": self._counts(values),
            "files": files.to_list(),
            "read_seconds": round(read - begun, 4),
            "write_seconds": round(written - computed, 4),
        }

    def _tiles(self, write: Box, wanted: np.ndarray | None) -> list[Tile]:
        return wanted_tiles(self._tiling, write, wanted)

    def _compute(
        self,
        image: np.ndarray,
        source: Box,
        write: Box,
        wanted: np.ndarray | None,
        values: dict[Output, np.ndarray],
    ) -> Result:
        """Fill in what the pixels of ``source`` become, with smaller tiles where memory ends."""
        predictor = self._loaded()
        before, seconds = predictor.num_computed, 0.0
        told: Result = {}
        while True:
            tiles = self._tiles(write, wanted)
            needed = hull([source, *(tile.input for tile in tiles)])
            if needed != source:
                # Smaller tiles end elsewhere, and may read a few voxels more.
                image, source = self._reader.read(needed), needed
                self._finite.kept(image, source, write, wanted)
            try:
                for tile, found in self._predictions(predictor, tiles, image, source, values):
                    prediction = found.result()
                    # A GPU knows its time only once the result is there.
                    seconds += found.seconds
                    _fill_in(values, tile, write, prediction)
                return {
                    **told,
                    "tiles_computed": predictor.num_computed - before,
                    "compute_seconds": round(seconds, 4),
                    "device": str(predictor.predictor.device),
                    "backend": predictor.predictor.backend,
                }
            except MemoryError:
                self._tiling = self._tiling.halved()
                told["smaller_tile"] = list(self._tiling.tile_shape)
            predictor.predictor.free_memory()

    def _predictions(
        self,
        predictor: RecallingPredictor,
        tiles: list[Tile],
        image: np.ndarray,
        source: Box,
        values: Mapping[Output, np.ndarray],
    ) -> Iterator[tuple[Tile, Awaited]]:
        """What becomes of tiles, in their order; as many are under way as the device takes."""
        under_way: deque[tuple[Tile, Awaited]] = deque()
        ndim, probabilities = self._model.ndim, "probabilities" in values
        try:
            for tile in tiles:
                self._check_abandoned()
                pixels = image[(slice(None), *tile.input.within(source))]
                plane = pixels.reshape(pixels.shape[0], *pixels.shape[-ndim:])
                inner = tile.output.within(tile.scores)[-ndim:]
                begun = predictor.begin(plane, inner, probabilities=probabilities)
                under_way.append((tile, begun))
                if len(under_way) >= predictor.depth:
                    yield under_way.popleft()
            while under_way:
                yield under_way.popleft()
        finally:
            # After an error the device may still use their memory.
            for _, begun in under_way:
                begun.wait()

    def _empty_values(self, box: Box) -> dict[Output, np.ndarray]:
        """Room for what is written of a block."""
        num_classes = len(self._model.description.classes)
        shapes = {"classes": box.shape, "probabilities": (num_classes, *box.shape)}
        names: dict[Output, None] = {"classes": None, **dict.fromkeys(self._writers)}
        return {name: np.empty(shapes[name], np.uint8) for name in names}

    def _counts(self, values: Mapping[Output, np.ndarray]) -> list[int]:
        """Voxels of each class."""
        labels = values["classes"]
        numbers = range(len(self._model.description.classes))
        if len(numbers) > _FEW_CLASSES:
            return list(map(int, np.bincount(labels.ravel(), minlength=len(numbers))))
        return [int(np.count_nonzero(labels == number)) for number in numbers]

    def _loaded(self) -> RecallingPredictor:
        """The model on its device, with this thread's share of the cores."""
        if self._predictor is None:
            predictor = self._device.predictor(self._model, self._grey_range)
            self._predictor = RecallingPredictor(predictor)
        self._device.take_cores()
        return self._predictor


def wanted_tiles(tiling: Tiling, write: Box, wanted: np.ndarray | None) -> list[Tile]:
    """Tiles of a block that keep a voxel that is wanted; all where ``wanted`` is None."""
    tiles = list(tiling.tiles(write))
    if wanted is None:
        return tiles
    return [tile for tile in tiles if wanted[tile.output.within(write)].any()]


def _fill_in(
    values: Mapping[Output, np.ndarray], tile: Tile, write: Box, prediction: Prediction
) -> None:
    """Put what one tile became into its place in the block."""
    where = tile.output.within(write)
    values["classes"][where] = prediction.labels.reshape(tile.output.shape)
    if prediction.probabilities is not None:
        chances = prediction.probabilities
        chances = chances.reshape(chances.shape[0], *tile.output.shape)
        values["probabilities"][(slice(None), *where)] = chances


def _clear_unwanted(values: dict[Output, np.ndarray], kept: np.ndarray | None) -> None:
    """Label 0, for certain, wherever nothing is kept: no tile's extent decides about it."""
    if kept is None:
        return
    values["classes"][~kept] = 0
    if "probabilities" in values:
        values["probabilities"][:, ~kept] = 0
        values["probabilities"][0, ~kept] = 255


@dataclass(frozen=True)
class DownsampleWork:
    """Writes blocks of a pyramid's later levels from the level before.

    Parameters
    ----------
    writers : tuple of OutputWriter
    group : int
        Group of levels, 1 or more.
    grid : BlockGrid
        Of the group's first level.
    """

    writers: tuple[OutputWriter, ...]
    group: int
    grid: BlockGrid

    def __call__(self, index: Index) -> Result:
        """Write one block of each output."""
        box: Box = self.grid.box(index)
        begun = time.perf_counter()
        files = Files()
        for writer in self.writers:
            files += writer.downsample_block(self.group, box)
        seconds = round(time.perf_counter() - begun, 4)
        return {"voxels": box.size, "files": files.to_list(), "write_seconds": seconds}
