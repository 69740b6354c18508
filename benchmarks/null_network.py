"""Time each stage of the pipeline with a network that costs next to nothing.

    python benchmarks/null_network.py FOLDER [--extent 8192] [--network threshold conv]
        [--volume] [--repeats 3] [--whole]

The script prints JSON: the CPU milliseconds of each stage per megapixel, over all threads, while
one thread does one block after another without Dask. ``threshold`` compares the grey value with a
number; ``conv`` is one 3 × 3 convolution with two classes. With ``--whole`` it also runs
``bigunet.segment`` with one worker, and with one worker per core.
"""

from __future__ import annotations

import argparse
import inspect
import json
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from limit import cpu_model
from loads import write_image
from torch import Tensor, nn

import bigunet
from bigunet import Model, Normalisation
from bigunet.engine.ledger import Ledger
from bigunet.io.images.array_reader import ArrayReader
from bigunet.io.output import writer
from bigunet.machine.cores import cores
from bigunet.model.inference import forward, score_planes
from bigunet.model.inference.inputs import NetworkInputs
from bigunet.model.inference.recall import RecallingPredictor
from bigunet.segmentation.instances.object_files import ObjectFiles
from bigunet.segmentation.place import place_at
from bigunet.segmentation.plan.normalisation import fix_normalisation
from bigunet.segmentation.plan.segment_plan import SegmentPlan
from bigunet.segmentation.run import block
from bigunet.segmentation.run.finite import FiniteVoxels
from bigunet.segmentation.run.outputs import create_outputs
from bigunet.segmentation.run.stages import StageBuilder

STAGES: dict[str, tuple[Any, str]] = {
    "read": (ArrayReader, "read"),
    "finite voxels": (FiniteVoxels, "kept"),
    "recall": (RecallingPredictor, "begin"),
    "prepare": (NetworkInputs, "prepared"),
    "convert": (NetworkInputs, "normalised"),
    "network": (forward.Predictor, "_scores"),
    "labels": (score_planes, "labels_of"),
    "finite scores": (score_planes, "are_finite"),
    "fill in": (block, "fill_in"),
    "count": (block, "count_classes"),
    "pyramid": (writer.OutputWriter, "downsampled"),
    "encode": (writer.OutputWriter, "_write"),
    "ledger": (Ledger, "append"),
}
"""Where each stage begins: an object, and the name of its function."""


class Threshold(nn.Module):
    """A network of one score: the grey value, less a number."""

    def forward(self, image: Tensor) -> Tensor:
        return image - 0.3


class Stopwatch:
    """CPU seconds of the process by stage; a stage inside another one counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open = ["other"]
        self._since = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs inside for this stage."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def watch(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, which counts for a stage; of a generator, each step counts."""
        if inspect.isgeneratorfunction(function):
            return self._watch_steps(name, function)

        def watched(*arguments: Any, **options: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **options)

        return watched

    def _watch_steps(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Iterator[Any]:
            steps, end = function(*arguments, **options), object()
            while True:
                with self.stage(name):
                    step = next(steps, end)
                if step is end:
                    return
                yield step

        return watched


def null_model(network: str, ndim: int) -> Model:
    """The model of a network that costs next to nothing."""
    module: nn.Module = Threshold()
    if network == "conv":
        module = (nn.Conv2d if ndim == 2 else nn.Conv3d)(1, 2, 3, padding=1)
        with torch.no_grad():
            module.weight[0], module.weight[1] = 0, 3.0**-ndim
            module.bias[0], module.bias[1] = 0.3, 0
    return Model.of_module(module, ndim=ndim, normalisation=Normalisation("fixed", 0, 255))


def image_of(folder: Path, shape: tuple[int, ...]) -> Path:
    """The image of this shape, which is written unless it is there."""
    path = folder / f"null-{'x'.join(map(str, shape))}.zarr"
    if not path.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        write_image(path, shape, (1024, 1024) if len(shape) == 2 else (64, 64, 64))
    return path


def stages_of(plan: SegmentPlan, target: Path) -> dict[str, float]:
    """CPU seconds of each stage of all blocks of a plan, one after another."""
    shutil.rmtree(target, ignore_errors=True)
    place = place_at(target, "0.5")
    outputs = create_outputs(plan, place)
    normalisation, _ = fix_normalisation(plan)
    builder = StageBuilder(plan, outputs, ObjectFiles(place))
    segment = builder.segment(normalisation, workers_per_host=cores())
    watch = Stopwatch()
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(target.with_suffix(".ledger"), anew=True))
        for name, (owner, attribute) in STAGES.items():
            watched = watch.watch(name, getattr(owner, attribute))
            stack.enter_context(mock.patch.object(owner, attribute, watched))
        for stage in (segment, *builder.downsample()):
            with watch.stage("coarse levels" if stage is not segment else "other"):
                for index in stage.traversal():
                    ledger.append(stage.name, stage.number(index), stage.work(index))
    shutil.rmtree(target)
    return dict(watch.seconds)


def measure(
    folder: Path, network: str, shape: tuple[int, ...], *, repeats: int, **options: Any
) -> dict[str, Any]:
    """CPU milliseconds of each stage per megapixel: the repeat with the least sum."""
    model, image = null_model(network, len(shape)), image_of(folder, shape)
    plan = bigunet.plan(image, model=model, **options)
    # The first run loads what it needs, and is not counted.
    runs = [stages_of(plan, folder / "null-out.zarr") for _ in range(repeats + 1)][1:]
    best = min(runs, key=lambda run: sum(run.values()))
    megapixels = plan.region.size / 1e6
    return {
        "network": network,
        "cpu": cpu_model(),
        "shape": list(shape),
        "tile": plan.to_dict()["tile"],
        "block_shape": plan.to_dict()["block_shape"],
        "bytes_read_per_image_byte": plan.to_dict()["bytes_read_per_image_byte"],
        "cpu_ms_per_megapixel": {k: round(1e3 * v / megapixels, 3) for k, v in best.items()},
        "megapixels_per_cpu_second": round(megapixels / sum(best.values()), 1),
    }


def whole(
    folder: Path, network: str, shape: tuple[int, ...], workers: int, **options: Any
) -> dict[str, Any]:
    """Megapixels per second of a run with this number of workers, from the first block on."""
    ended: list[float] = []

    def on_event(event: object) -> None:
        if isinstance(event, bigunet.BlockDone) and event.stage == "segment":
            ended.append(time.perf_counter())

    report = bigunet.segment(
        image_of(folder, shape),
        folder / "null-out.zarr",
        model=null_model(network, len(shape)),
        client=bigunet.ClusterSpec(workers=workers),
        existing="overwrite",
        on_event=on_event,
        **options,
    ).to_dict()
    # The first blocks wait until the workers have loaded torch and the model.
    first = len(ended) // 4
    steady = (len(ended) - 1 - first) / (ended[-1] - ended[first])
    return {
        "workers": workers,
        "seconds": report["seconds"],
        "megapixels_per_second": round(report["voxels"] / 1e6 / report["seconds"], 1),
        "steady_megapixels_per_second": round(steady * report["voxels"] / len(ended) / 1e6, 1),
        "bytes_read_per_image_byte": report["bytes_read_per_image_byte"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extent", type=int, default=8192, help="pixels of each side in 2D")
    parser.add_argument("--network", choices=("threshold", "conv"), nargs="+", default=["conv"])
    parser.add_argument("--volume", action="store_true", help="a volume of 256 planes of 1024²")
    parser.add_argument("--tile", type=int, nargs="+", default=[2048], help="tile of the network")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="also run bigunet.segment")
    arguments = parser.parse_args()
    shape = (256, 1024, 1024) if arguments.volume else (arguments.extent,) * 2
    tile = (arguments.tile * 3)[: len(shape)]
    options = {"tile_shape": tuple(min(t, n) for t, n in zip(tile, shape))}
    figures = []
    for network in arguments.network:
        figures.append(
            measure(arguments.folder, network, shape, repeats=arguments.repeats, **options)
        )
        if arguments.whole:
            figures[-1]["runs"] = [
                whole(arguments.folder, network, shape, workers, **options)
                for workers in sorted({1, cores()})
            ]
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
