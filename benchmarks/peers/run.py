"""Segment a load with another program: the same weights, the same zarr, uint8 labels to zarr.

    .venv-peers/bin/python benchmarks/peers/run.py PEER FOLDER LOAD [--precision bf16] [--tile N]
        [--device cuda]

``FOLDER`` holds the files of ``benchmarks/loads.py``.

Except for the windows, each peer has the settings that keep its result exact: a halo and tiles of
whole strides, one normalisation, no blending. A network with valid convolutions is wrapped, so that
it returns as many voxels as it reads; the peer keeps the exact ones. The script prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
import zarr
from same import DTYPES, Same, labels_of
from windows import monai_window, window

Run = Callable[[zarr.Array, Same, zarr.Array, int], None]


def naive() -> Run:
    """The simplest program: the whole mirrored image in memory, tile after tile, in fp32."""

    def run(image: zarr.Array, network: Same, output: zarr.Array, tile: int) -> None:
        field = network.field
        border = field.border[0]
        returned = field.scores_shape(field.input_shape((tile,) * network.ndim))[0]
        kept = returned - returned % network.stride
        module, device = network.module, network.device
        pixels = np.pad(image[:], [(border, border + returned)] * network.ndim, mode="reflect")
        labels = np.empty(image.shape, np.uint8)
        for index in np.ndindex(*(-(-n // kept) for n in image.shape)):
            start = [i * kept for i in index]
            part = pixels[tuple(slice(a, a + returned + 2 * border) for a in start)]
            tensor = torch.from_numpy(part.astype(np.float32) / 255)[None, None].to(device)
            with torch.inference_mode():
                classes = module(tensor)[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
            where = tuple(slice(a, min(a + kept, n)) for a, n in zip(start, image.shape))
            labels[where] = classes[tuple(slice(0, w.stop - w.start) for w in where)]
        output[:] = labels

    return run


def torch_em() -> Run:
    """``predict_with_halo_pipelined`` with its threads for reading and writing."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torch_em.util.prediction import predict_with_halo_pipelined

    def run(image: zarr.Array, network: Same, output: zarr.Array, tile: int) -> None:
        predict_with_halo_pipelined(
            image,
            network.channels_last(),
            [network.device],
            block_shape=(tile,) * network.ndim,
            halo=(network.halo,) * network.ndim,
            output=output,
            preprocess=None,
            postprocess=labels_of,
            disable_tqdm=True,
            batch_size=1,
            num_prefetch_workers=2,
        )

    return run


def dask_overlap() -> Run:
    """``map_overlap`` in threads; dask's own padding mirrors the image."""
    import dask
    import dask.array as da

    def run(image: zarr.Array, network: Same, output: zarr.Array, tile: int) -> None:
        halo = network.halo
        network = network.channels_last()

        def block(pixels: np.ndarray) -> np.ndarray:
            if pixels.size == 0:
                return pixels.astype(np.uint8)
            return labels_of(network(torch.from_numpy(pixels)[None, None])[0].numpy())

        array = da.from_zarr(image)
        extra = [(halo, halo + -n % tile) for n in image.shape]
        padded = da.pad(array, extra, mode="reflect")
        # Except for the margin, chunks begin where tiles begin: tiles stay on the network's stride.
        padded = padded.rechunk([(halo, *[tile] * (-(-n // tile)), halo) for n in image.shape])
        labels = da.map_overlap(
            block, padded, depth=halo, boundary="none", dtype=np.uint8, allow_rechunk=False
        )
        labels = labels[tuple(slice(halo, halo + n) for n in image.shape)].rechunk(output.chunks)
        with dask.config.set(scheduler="threads", num_workers=2):
            da.to_zarr(labels, output)

    return run


def monai() -> Run:
    """``sliding_window_inference`` with a weight map that keeps only the exact voxels."""
    from monai.inferers import sliding_window_inference

    def run(image: zarr.Array, network: Same, output: zarr.Array, tile: int) -> None:
        halo = network.halo
        size = tile + 2 * halo
        pixels = image[:].astype(np.float32)
        whole = np.pad(pixels, [(halo, halo + -n % tile) for n in image.shape], mode="reflect")
        weights = np.full((size,) * network.ndim, 1e-6, np.float32)
        weights[(slice(halo, -halo),) * network.ndim] = 1
        scores = sliding_window_inference(
            torch.from_numpy(whole)[None, None],
            (size,) * network.ndim,
            1,
            network.channels_last(),
            overlap=2 * halo / size,
            roi_weight_map=torch.from_numpy(weights),
            sw_device=network.device,
            device="cpu",
        )
        inner = tuple(slice(halo, halo + n) for n in image.shape)
        output[:] = labels_of(scores[0].numpy())[inner]

    return run


def daisy() -> Run:
    """The task scheduler of daisy; reading, network and writing are ours, as its users do it."""
    import daisy as package

    def run(image: zarr.Array, network: Same, output: zarr.Array, tile: int) -> None:
        ndim, halo = network.ndim, network.halo
        network = network.channels_last()

        def process(block: Any) -> None:
            start, shape = block.read_roi.offset, block.read_roi.shape
            inside = tuple(
                slice(max(0, a), min(a + n, size)) for a, n, size in zip(start, shape, image.shape)
            )
            margins = [(p.start - a, a + n - p.stop) for p, a, n in zip(inside, start, shape)]
            pixels = np.pad(image[inside], margins, mode="reflect")
            labels = labels_of(network(torch.from_numpy(pixels)[None, None])[0].numpy())
            at = block.write_roi.offset
            kept = tuple(slice(a, min(a + tile, n)) for a, n in zip(at, image.shape))
            output[kept] = labels[tuple(slice(halo, halo + k.stop - k.start) for k in kept)]

        whole = package.Coordinate([n + -n % tile for n in image.shape])
        task = package.Task(
            "segment",
            total_roi=package.Roi((-halo,) * ndim, whole + 2 * halo),
            read_roi=package.Roi((-halo,) * ndim, (tile + 2 * halo,) * ndim),
            write_roi=package.Roi((0,) * ndim, (tile,) * ndim),
            process_function=process,
            read_write_conflict=False,
            fit="overhang",
            max_workers=1,
        )
        package.run_blockwise([task], multiprocessing=False)

    return run


PEERS: dict[str, Callable[[], Run]] = {
    "naive": naive,
    "torch-em": torch_em,
    "dask": dask_overlap,
    "monai": monai,
    "daisy": daisy,
    "window": window,
    "monai-window": monai_window,
}
ON_CPU = ("dask", "daisy")


class Peak(threading.Thread):
    """A thread that records the peak memory of this process, ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes, self._done = 0, threading.Event()

    def run(self) -> None:
        process = psutil.Process()
        while not self._done.wait(0.1):
            self.bytes = max(self.bytes, process.memory_info().rss)

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self.bytes


def measure(
    peer: str, folder: Path, load: str, precision: str, tile: int, device: str = "cpu"
) -> dict[str, Any]:
    if device not in ("cpu", "cuda") or (device != "cpu" and peer in ON_CPU):
        raise SystemExit(f"{peer} does not run on {device} here")
    allowed = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    image = zarr.open_array(str(folder / f"{load}.zarr"), mode="r")
    network = Same(folder / f"{load}.safetensors", precision, device)
    path = folder / f"{load}-{peer}.zarr"
    shutil.rmtree(path, ignore_errors=True)
    chunks = tuple(min(512 if network.ndim == 2 else 64, n) for n in image.shape)
    output = zarr.create_array(str(path), shape=image.shape, chunks=chunks, dtype="uint8")
    run = PEERS[peer]()
    watch = Peak()
    watch.start()
    begun = time.perf_counter()
    run(image, network, output, tile)
    seconds = time.perf_counter() - begun
    return {
        "peer": peer,
        "load": load,
        "device": device,
        "precision": precision,
        "tile": tile,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "microseconds_per_voxel": 1e6 * seconds / image.size,
        "peak_memory_bytes": watch.stop(),
        "output": os.fspath(path),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("load")
    parser.add_argument("--precision", choices=DTYPES, default="bf16")
    parser.add_argument("--tile", type=int, default=384, help="voxels per axis that a tile keeps")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    chosen = parser.parse_args()
    figures = measure(
        chosen.peer, chosen.folder, chosen.load, chosen.precision, chosen.tile, chosen.device
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
