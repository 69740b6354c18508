"""What a worker does for one block: read it with its halo, predict its tiles, write it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from bigunet.blend_tiling import BlendTiling
from bigunet.blocks import BlockGrid
from bigunet.engine.room import Room
from bigunet.engine.stage import Index, Result
from bigunet.errors import StoppedError
from bigunet.geometry import Box, hull
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.output.block_files import Files
from bigunet.io.output.writer import OutputWriter
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.recall import Awaited, RecallingPredictor
from bigunet.model.model import Model
from bigunet.options.choices import Output
from bigunet.segmentation.plan.memory_share import MOST_BLOCKS_IN_WORK
from bigunet.segmentation.plan.selection import Selection, selected_tiles
from bigunet.segmentation.run.blended import blended_scores, fill_in_scores
from bigunet.segmentation.run.block_values import (
    Values,
    clear_others,
    count_classes,
    empty_values,
    fill_in,
)
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.segmentation.run.finite import FiniteVoxels
from bigunet.tiling import Tile, Tiling

# The threads of a process share its device. One forward pass at a time uses all cores, while other
# threads read and write their blocks.
_DEVICE = threading.Lock()


class SegmentWork:
    """Segments blocks. It is pickled to each worker once, and the first block loads the model.

    Parameters
    ----------
    reader : ArrayReader
    writers : mapping of str to OutputWriter
    grid : BlockGrid
    tiling : Tiling or BlendTiling
    selection : Selection
    finite : FiniteVoxels
    model : Model
    grey_range : GreyRange
    device : DeviceChoices
    blocks_in_work : int
        The most blocks that a worker holds at a time, however many threads it has.
    """

    def __init__(
        self,
        reader: ArrayReader,
        writers: Mapping[Output, OutputWriter],
        *,
        grid: BlockGrid,
        tiling: Tiling | BlendTiling,
        selection: Selection,
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
        self._selection = selection
        self._finite = finite
        self._model = model
        self._grey_range = grey_range
        self._device = device
        self._room = Room(blocks_in_work)
        self._begin()

    def _begin(self) -> None:
        """Set what belongs to this process alone, and is not pickled."""
        self._predictor: RecallingPredictor | None = None
        self._abandoned = False

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_predictor", "_abandoned")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __call__(self, index: Index) -> Result:
        """Segment one block; the result has its times, and the number of voxels of each class."""
        begun = time.perf_counter()
        with self._room:
            waited = time.perf_counter() - begun
            return {**self._segment(index), "room_wait_seconds": round(waited, 4)}

    def abandon(self) -> None:
        """See :class:`bigunet.engine.stage.Abandonable`: no further tile or slab begins."""
        self._abandoned = True
        if self._predictor is not None:
            self._predictor.predictor.abandon()

    def _check_abandoned(self) -> None:
        if self._abandoned:
            raise StoppedError("the run has ended")

    def _segment(self, index: Index) -> Result:
        write = self._grid.box(index)
        num_classes = len(self._model.description.classes)
        begun = time.perf_counter()
        selected = self._selection.read(write)
        values = empty_values(write, self._writers, num_classes)
        kept = selected
        result: Result = {"device": "", "backend": ""}
        result |= {"tiles_computed": 0, "bytes_read": 0, "compute_seconds": 0.0}
        read = taken = computed = time.perf_counter()
        if tiles := selected_tiles(self._tiling, write, selected):
            source = hull(tile.input for tile in tiles)
            image = self._reader.read(source)
            result["bytes_read"] = image.nbytes
            kept = self._finite.kept(image, source, write, selected)
            read = time.perf_counter()
            with _DEVICE:
                taken = time.perf_counter()
                self._check_abandoned()
                result |= self._compute(image, source, write, selected, values)
                computed = time.perf_counter()
            del image
        clear_others(values, kept)
        files = self._write(write, values)
        written = time.perf_counter()
        return {
            **result,
            "voxels": write.size,
            "counts": count_classes(values, num_classes),
            "files": files.to_list(),
            "read_seconds": round(read - begun, 4),
            "device_wait_seconds": round(taken - read, 4),
            "write_seconds": round(written - computed, 4),
        }

    def _write(self, write: Box, values: Values) -> Files:
        local = write.shift(tuple(-v for v in self._grid.region.start))
        files = Files()
        for output, writer in self._writers.items():
            files += writer.write_block(0, local, values[output])
        return files

    def _compute(
        self,
        image: np.ndarray,
        source: Box,
        write: Box,
        selected: np.ndarray | None,
        values: Values,
    ) -> Result:
        """Predict a block from the pixels of ``source``; with smaller tiles if memory ends."""
        predictor = self._loaded()
        if isinstance(self._tiling, BlendTiling):
            return self._blend(predictor.predictor, image, source, write, selected, values)
        before, seconds = predictor.num_computed, 0.0
        result: Result = {}
        while True:
            tiles = selected_tiles(self._tiling, write, selected)
            needed = hull([source, *(tile.input for tile in tiles)])
            if needed != source:
                # Smaller tiles end elsewhere, and may read a few voxels more.
                image, source = self._reader.read(needed), needed
                self._finite.kept(image, source, write, selected)
            try:
                for tile, pending in self._predictions(predictor, tiles, image, source, values):
                    prediction = pending.result()
                    # A GPU knows its time only once the result is there.
                    seconds += pending.seconds
                    fill_in(values, tile, write, prediction)
                return {
                    **result,
                    "tiles_computed": predictor.num_computed - before,
                    "compute_seconds": round(seconds, 4),
                    **_by(predictor.predictor),
                }
            except MemoryError:
                # The length of a swept tile takes little memory.
                swept = self._tiling.field.ndim - self._model.ndim if self._device.slab else None
                self._tiling = self._tiling.halved(last=swept)
                result["smaller_tile"] = list(self._tiling.tile_shape)
            predictor.predictor.free_memory()

    def _blend(
        self,
        predictor: Predictor,
        image: np.ndarray,
        source: Box,
        write: Box,
        selected: np.ndarray | None,
        values: Values,
    ) -> Result:
        """Predict a block from overlapping tiles, averaged; a tile is never made smaller."""
        tiling = self._tiling
        assert isinstance(tiling, BlendTiling)
        tiles = selected_tiles(tiling, write, selected)
        begun = time.perf_counter()

        def scores_of(tile: Tile) -> Tensor:
            self._check_abandoned()
            return predictor.scores(self._plane(image, source, tile))

        scores = blended_scores(write, tiling, tiles, scores_of)
        fill_in_scores(values, write, scores, self._model.scores)
        seconds = round(time.perf_counter() - begun, 4)
        return {"tiles_computed": len(tiles), "compute_seconds": seconds, **_by(predictor)}

    def _plane(self, image: np.ndarray, source: Box, tile: Tile) -> np.ndarray:
        """The pixels of a tile, along the axes of the network."""
        pixels = image[(slice(None), *tile.input.within(source))]
        return pixels.reshape(pixels.shape[0], *pixels.shape[-self._model.ndim :])

    def _predictions(
        self,
        predictor: RecallingPredictor,
        tiles: list[Tile],
        image: np.ndarray,
        source: Box,
        values: Values,
    ) -> Iterator[tuple[Tile, Awaited]]:
        """Begin the prediction of each tile, in order, as many at a time as the device takes."""
        under_way: deque[tuple[Tile, Awaited]] = deque()
        ndim, probabilities = self._model.ndim, "probabilities" in values
        try:
            for tile in tiles:
                self._check_abandoned()
                plane = self._plane(image, source, tile)
                inner = tile.output.within(tile.scores)[-ndim:]
                begun = predictor.begin(plane, inner, probabilities=probabilities)
                under_way.append((tile, begun))
                if len(under_way) >= predictor.depth:
                    yield under_way.popleft()
            while under_way:
                yield under_way.popleft()
        finally:
            # After an error the device may still use the memory of these tiles.
            for _, begun in under_way:
                begun.wait()

    def _loaded(self) -> RecallingPredictor:
        """The model on its device, with this thread's share of the cores."""
        if self._predictor is None:
            predictor = self._device.predictor(self._model, self._grey_range)
            self._predictor = RecallingPredictor(predictor)
        self._device.take_cores()
        return self._predictor


def _by(predictor: Predictor) -> Result:
    """What computed."""
    method = " (Winograd)" if predictor.winograd else ""
    return {"device": str(predictor.device), "backend": f"{predictor.backend}{method}"}
