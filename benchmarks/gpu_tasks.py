"""The measurements of ``gpu.py``, each a function that returns what belongs into the JSON.

This script is the process that measures: it takes requests from ``bounded.py``.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import torch
from bounded import serve
from compare import differing
from contenders import Contender
from forward import model_of
from forward_ways import OPTIONS, WAYS
from limit import copying, transfers
from loads import LOADS
from ours import output_of
from peak import matrix_peak, settled, tf32
from processor import device_name

_Figures = dict[str, Any]
# Enough for a steady clock of the GPU, and for a median.
_FORWARD_SECONDS, _MOST_PASSES = 1.0, 20


def matrix(precision: str, device: str, most: int | None, seconds: float) -> _Figures:
    """The peak of matrix products in one precision."""
    flops = {precision: matrix_peak(precision, device, most=most, seconds=seconds)}
    return _named(device) | {"flops": flops, "threads": torch.get_num_threads(), "copy_bytes": None}


def copies(device: str, megabytes: int) -> _Figures:
    """Bytes per second: within the device, and to and from the host."""
    rates = transfers(megabytes, 3) if device == "cuda" else {}
    copied = copying(megabytes, 3, device)
    return _named(device) | {"copy_bytes": copied, "transfer_bytes": rates, "flops": {}}


def forward(load: str, way: str, precision: str, tile: int, device: str) -> _Figures:
    """One way of the forward pass, with its labels compared with those of fp32."""
    model = model_of(LOADS[load])
    network = model.module.eval().to(device)
    shape = model.receptive_field.input_shape((tile,) * model.ndim)
    torch.manual_seed(1)
    image = torch.rand((1, model.in_channels, *shape), device=device)
    with torch.inference_mode():
        with tf32(False):
            exact = network(image)[0].float()
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        run = WAYS[way](network, image, precision)
        scores = settled(run())[0].float()
        prepared = time.perf_counter() - begun
        difference = float((scores - exact).abs().max() / exact.std())
        equal = float((scores.argmax(0) == exact.argmax(0)).float().mean())
        taken = _median_seconds(run)
    voxels = exact[0].numel()
    rate = model.module.config.flops(shape) / taken  # type: ignore[union-attr,operator]
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else None
    return _named(device) | {
        "load": load,
        "backend": way,
        "option": OPTIONS.get(way, ""),
        "precision": precision,
        "microseconds_per_voxel": {str(tile): 1e6 * taken / voxels},
        "flops_per_second": rate,
        "prepared_seconds": prepared,
        "labels_equal": equal,
        "largest_difference": difference,
        "peak_device_bytes": memory,
    }


def prepare(loads: list[str], folder: str) -> _Figures:
    """Write the images and the networks."""
    for name in loads:
        LOADS[name].prepare(Path(folder))
    return {}


def ours(
    load: str, folder: str, device: str, precision: str, workers: int, threads: int, block: int
) -> _Figures:
    """Segment from zarr to zarr by bigunet, with workers of several threads that share the GPU.

    A first run on a part starts the workers, and does not count.
    """
    from distributed import Client, LocalCluster

    import bigunet

    where, config = Path(folder), LOADS[load].config
    target = output_of(LOADS[load], where, f"-{workers}x{threads}")
    shutil.rmtree(target, ignore_errors=True)
    options: _Figures = {"precision": precision, "device": device, "no_report": True}
    warm = LOADS[load.partition("-")[0] + "-small"] if load in _LARGE else LOADS[load]
    warm.prepare(where)
    whole = (block,) * config.ndim
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=threads, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        for one, output, shape in (
            (warm, output_of(warm, where, "-warm"), ()),
            (LOADS[load], target, whole),
        ):
            report = bigunet.segment(
                str(one.image(where)), str(output), model=str(one.model(where)), client=client,
                block_shape=shape, existing="overwrite", **options,
            )  # fmt: skip
    shutil.rmtree(target, ignore_errors=True)
    voxels = LOADS[load].voxels
    return _named(device) | {
        "load": load,
        "precision": precision,
        "workers": workers,
        "threads": threads,
        "seconds": report.seconds,
        "megavoxels_per_second": voxels / 1e6 / report.seconds,
        "share_of_time_computing": report.compute_seconds / report.seconds,
        "backend_of_run": report.backend,
    }


_LARGE = ("paper", "narrow", "volume", "paper-part", "narrow-part", "volume-part")


def program(load: str, folder: str, device: str, contender: str, python: str) -> _Figures:
    """A program from zarr to zarr, with its labels compared with bigunet's, if these are there."""
    one, where = LOADS[load], Path(folder)
    chosen = Contender.parse(contender, one, device)
    result = chosen.run(one, where, python)
    truth = output_of(one, where, "-fp32-torch") / "labels" / "classes" / "0"
    return _named(device) | {
        "load": load,
        "program": chosen.name,
        "seconds": result["seconds"],
        "megavoxels_per_second": one.voxels / 1e6 / result["seconds"],
        "peak_memory_bytes": result["peak_memory_bytes"],
        "differing": differing(truth, Path(result["output"])) if truth.is_dir() else None,
    }


def _median_seconds(run: Any) -> float:
    taken: list[float] = []
    until = time.perf_counter() + _FORWARD_SECONDS
    while not taken or (len(taken) < _MOST_PASSES and time.perf_counter() < until):
        begun = time.perf_counter()
        settled(run())
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[len(taken) // 2]


def _named(device: str) -> _Figures:
    return {"device": device_name(device)}


TASKS = {
    "matrix": matrix,
    "copies": copies,
    "forward": forward,
    "prepare": prepare,
    "ours": ours,
    "program": program,
}

if __name__ == "__main__":
    serve(TASKS)
