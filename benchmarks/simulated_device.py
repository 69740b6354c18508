"""Segment with a device that only sleeps, at a given rate: how near does the run come to it?

    python benchmarks/simulated_device.py FOLDER [--rate 500] [--workers 1 2] [--threads 1 3 6]
        [--side 16384] [--cores 16]

Everything but the network is real: reading, tiles, writing, pyramid, ledger, workers in processes.
The device takes each tile as long as a device of that rate would, and holds neither the GIL nor a
core; several workers share its rate. Its labels are a threshold of the grey values.

The script prints JSON: megavoxels per second for each number of workers and of threads per worker,
and the processor time of the host for a megavoxel. With ``--threads`` more than 3, a worker holds
as many blocks; by default bigunet holds 3. ``reckoned`` is a reckoning for more cores, and no
measurement: cores / processor time, times the share of the cores that the run kept busy here, but
at most the rate. If the device limited the run here, all cores count as busy there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from distributed import Client, LocalCluster
from loads import write_image
from torch import nn

import bigunet
from bigunet import Model, SegmentOptions
from bigunet.machine.cores import cores
from bigunet.model.inference.forward import Prediction
from bigunet.segmentation.plan import memory_share
from bigunet.segmentation.run.device import DeviceChoices

_RATE = "BIGUNET_SIMULATED_RATE"
_THRESHOLD = 127


@dataclass
class Device:
    """A device that works through tiles one after another, and only sleeps.

    Parameters
    ----------
    voxels_per_second : float
    clock, sleep : callable
        The time in seconds, and how to let it pass.
    """

    voxels_per_second: float
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, voxels: int) -> tuple[float, float]:
        """Begin work on some voxels; the seconds that it takes, and when it ends."""
        seconds = voxels / self.voxels_per_second
        with self._lock:
            self._free_at = max(self.clock(), self._free_at) + seconds
            return seconds, self._free_at

    def wait_until(self, end: float) -> None:
        """Sleep until a time of the clock."""
        while (left := end - self.clock()) > 0:
            self.sleep(left)


@dataclass(frozen=True)
class Asleep:
    """A tile on the simulated device; see ``bigunet.model.inference.recall.Awaited``."""

    device: Device
    labels: np.ndarray
    seconds: float
    end: float

    def wait(self) -> None:
        """Sleep until the device has done the tile."""
        self.device.wait_until(self.end)

    def result(self) -> Prediction:
        """The labels, when the device has done the tile."""
        self.wait()
        return Prediction(self.labels, None)


class SimulatedPredictor:
    """Stands in for ``bigunet.model.inference.forward.Predictor``.

    Parameters
    ----------
    device : Device
    border : sequence of int
        Voxels by which the scores of the network are smaller than a tile, on each side.
    """

    depth = 3
    backend = "simulated"
    winograd = False

    def __init__(self, device: Device, border: Sequence[int]) -> None:
        self.device = torch.device("cpu")
        self._simulated = device
        self._cut = tuple(slice(n, -n or None) for n in border)

    def begin(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Asleep:
        """Begin a tile: its labels are where the grey value is above a threshold."""
        assert not probabilities
        kept = tile[0][self._cut][tuple(inner)]
        labels = (kept > _THRESHOLD).view(np.uint8)
        return Asleep(self._simulated, labels, *self._simulated.take(labels.size))

    def free_memory(self) -> None:
        """Nothing is held."""


def install(megavoxels_per_second: float) -> None:
    """Let all workers of this process compute on one simulated device."""
    device = Device(1e6 * megavoxels_per_second)

    def predictor(_: DeviceChoices, model: Model, *__: Any) -> SimulatedPredictor:
        return SimulatedPredictor(device, model.receptive_field.border)

    DeviceChoices.predictor = predictor  # type: ignore[method-assign, assignment]


def dask_setup(_: object) -> None:
    """What Dask calls when a worker begins, because it preloads this file."""
    install(float(os.environ[_RATE]))


def null_network() -> Model:
    """A network of one convolution; only its border counts here."""
    return Model.of_module(nn.Conv2d(1, 2, 3), ndim=2)


def run(client: Client, image: Path, target: Path, model: Model) -> dict[str, float]:
    """Segment once; megavoxels per second, and the processor time of all processes for one."""
    shutil.rmtree(target, ignore_errors=True)

    def processor_seconds() -> float:
        elsewhere = client.run(_own_seconds)
        return time.process_time() + sum(n for pid, n in elsewhere.values() if pid != os.getpid())

    begun = processor_seconds()
    options = SegmentOptions(grey_range=((0.0, 255.0),), device="cpu")
    report = bigunet.segment(image, target, model=model, options=options, client=client)
    voxels = report.to_dict()["voxels"] / 1e6
    return {
        "megavoxels_per_second": round(voxels / report.seconds, 2),
        "processor_ms_per_megavoxel": round(1e3 * (processor_seconds() - begun) / voxels, 3),
    }


def _own_seconds() -> tuple[int, float]:
    return os.getpid(), time.process_time()


def reckoned(figures: dict[str, float], *, rate: float, here: int, there: int) -> float:
    """Megavoxels per second on more cores: see the head of this file.

    The share of busy cores is 1 if the device limited the run: then nothing is known of it.
    """
    busy = figures["megavoxels_per_second"] * figures["processor_ms_per_megavoxel"] / 1e3 / here
    limited = figures["megavoxels_per_second"] >= 0.9 * rate
    carried = there / (figures["processor_ms_per_megavoxel"] / 1e3)
    return round(min(rate, carried * (1.0 if limited else min(1.0, busy))), 1)


def measure(folder: Path, *, rate: float, workers: int, threads: int, side: int) -> dict[str, Any]:
    """Segment twice on new workers, and return the second run, which starts nothing."""
    image, model = folder / f"null-{side}.zarr", null_network()
    if not image.is_dir():
        write_image(image, (side, side), (1024, 1024))
    memory_share.MOST_BLOCKS_IN_WORK = max(3, threads)
    os.environ[_RATE] = str(rate / workers)
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=threads, preload=str(Path(__file__).resolve()),
            dashboard_address=None, memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        target = folder / "simulated-out.zarr"
        run(client, image, target, model)
        figures = run(client, image, target, model)
    return {"rate": rate, "workers": workers, "threads": threads, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rate", type=float, nargs="+", default=[500.0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--cores", type=int, default=16)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for rate in asked.rate:
        for workers in asked.workers:
            for threads in asked.threads:
                row = measure(
                    asked.folder, rate=rate, workers=workers, threads=threads, side=asked.side
                )
                row["reckoned"] = reckoned(row, rate=rate, here=cores(), there=asked.cores)
                rows.append(row)
    print(json.dumps({"cores": cores(), "reckoned_cores": asked.cores, "runs": rows}, indent=2))


if __name__ == "__main__":
    main()
