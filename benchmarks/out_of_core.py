"""Segment a gigapixel, which is larger than the memory limit, with a network of 16 channels.

    python benchmarks/out_of_core.py FOLDER [--side 32768] [--precision fp32]

The image is written chunk by chunk, and is never in memory as a whole. The command runs as a user
runs it; the peak memory of all its processes comes from its own report. The script prints the
report as JSON, and exits with 1 if the peak exceeds the limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import zarr

from bigunet import ModelDescription, Normalisation, UNet, UNetConfig, save_model
from bigunet.model.description import default_classes

CHUNK = 1024
LIMIT_BYTES = 3_000_000_000


def write_image(path: Path, side: int) -> None:
    """Write bright discs on a noisy ground, with another pattern in each chunk."""
    array = zarr.create_array(
        str(path), shape=(side, side), chunks=(CHUNK, CHUNK), dtype="uint8", overwrite=True
    )
    y, x = np.mgrid[:CHUNK, :CHUNK]
    discs = 120 * (((y % 64 - 32) ** 2 + (x % 64 - 32) ** 2) < 300)
    for top in range(0, side, CHUNK):
        for left in range(0, side, CHUNK):
            chooser = np.random.default_rng([top, left])
            noise = chooser.integers(0, 60, (CHUNK, CHUNK))
            pixels = np.roll(discs, chooser.integers(0, 64, 2), axis=(0, 1)) + noise
            array[top : top + CHUNK, left : left + CHUNK] = pixels.astype(np.uint8)


def write_model(path: Path, width: int, depth: int) -> None:
    """Write a network with random weights; the time that it takes does not depend on them."""
    torch.manual_seed(0)
    config = UNetConfig(width=width, depth=depth)
    description = ModelDescription(
        name=f"random {width}-wide",
        architecture={"name": "unet", "config": config.to_dict()},
        classes=default_classes(2),
        channels=("0",),
        normalisation=Normalisation("fixed", 0, 255),
    )
    save_model(path, UNet(config).initialise(), description)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=32768)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--precision", default="fp32")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    image, model = arguments.folder / "in.zarr", arguments.folder / "model.safetensors"
    write_image(image, arguments.side)
    write_model(model, arguments.width, arguments.depth)
    command = [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(image),
        str(arguments.folder / "out.zarr"), "--model", str(model),
        "--precision", arguments.precision, "--overwrite", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report = json.loads(done.stdout)
    print(json.dumps(report, indent=2))
    return int(report["peak_memory_bytes"] > LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
