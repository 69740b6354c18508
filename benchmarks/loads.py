"""Write what the benchmarks time: three networks with random weights, and an image for each.

    python benchmarks/loads.py FOLDER [NAME]...

The script writes ``NAME.zarr`` and ``NAME.safetensors``. The time of a network depends neither on
its weights nor on the content of the image, but the time of compression does. Therefore images show
discs with as much noise as a camera adds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import zarr

from bigunet import ModelDescription, Normalisation, UNet, UNetConfig, save_model
from bigunet.model.description import default_classes


@dataclass(frozen=True)
class Load:
    """One network and one image.

    Parameters
    ----------
    name : str
    config : UNetConfig
    shape, chunk : tuple of int
        Shape and chunk of the image in voxels; the image is uint8.
    """

    name: str
    config: UNetConfig
    shape: tuple[int, ...]
    chunk: tuple[int, ...]

    @property
    def voxels(self) -> int:
        return math.prod(self.shape)

    @property
    def flops(self) -> int:
        """Operations of one pass over the mirrored whole image, without recompute."""
        return self.config.flops(self.config.receptive_field().input_shape(self.shape))

    def image(self, folder: Path) -> Path:
        return folder / f"{self.name}.zarr"

    def model(self, folder: Path) -> Path:
        return folder / f"{self.name}.safetensors"

    def prepare(self, folder: Path) -> None:
        """Write the image and the model, unless they exist."""
        folder.mkdir(parents=True, exist_ok=True)
        if not self.model(folder).is_file():
            write_model(self.model(folder), self.config)
        if not self.image(folder).is_dir():
            write_image(self.image(folder), self.shape, self.chunk)


LOADS = {
    load.name: load
    for load in (
        Load("paper", UNetConfig(width=64, depth=4), (8192, 8192), (1024, 1024)),
        Load("narrow", UNetConfig(width=16, depth=4), (16384, 16384), (1024, 1024)),
        Load("volume", UNetConfig(ndim=3, width=32, depth=3), (512, 512, 512), (64, 64, 64)),
        # Parts for peers, which would take hours otherwise, and for comparisons in fp32.
        Load("paper-part", UNetConfig(width=64, depth=4), (4096, 4096), (1024, 1024)),
        Load("narrow-part", UNetConfig(width=16, depth=4), (8192, 8192), (1024, 1024)),
        Load("volume-part", UNetConfig(ndim=3, width=32, depth=3), (256, 512, 512), (64, 64, 64)),
        Load("paper-small", UNetConfig(width=64, depth=4), (1000, 1200), (512, 512)),
        Load("narrow-small", UNetConfig(width=16, depth=4), (2000, 2400), (512, 512)),
        Load("volume-small", UNetConfig(ndim=3, width=32, depth=3), (150, 140, 160), (64, 64, 64)),
        # For tests, which run each benchmark but do not time it.
        Load("tiny", UNetConfig(width=4, depth=2), (300, 260), (128, 128)),
        Load("tiny-volume", UNetConfig(ndim=3, width=2, depth=1), (40, 36, 44), (16, 16, 16)),
    )
}


def write_image(path: Path, shape: tuple[int, ...], chunk: tuple[int, ...]) -> None:
    """Write bright balls on a noisy ground, chunk by chunk, each chunk with another pattern."""
    partial = path.with_suffix(".partial")
    array = zarr.create_array(
        str(partial), shape=shape, chunks=chunk, dtype="uint8", overwrite=True
    )
    period, radius = 64, 17
    from_centre = np.ogrid[tuple(slice(0, n) for n in chunk)]
    balls = 120 * (sum((x % period - period // 2) ** 2 for x in from_centre) < radius**2)
    for start in _starts(shape, chunk):
        chooser = np.random.default_rng(start)
        pixels = chooser.integers(0, 60, chunk, dtype=np.uint8)
        shift = tuple(chooser.integers(0, period, len(chunk)))
        pixels += np.roll(balls, shift, axis=tuple(range(len(chunk)))).astype(np.uint8)
        where = tuple(slice(a, min(a + n, size)) for a, n, size in zip(start, chunk, shape))
        array[where] = pixels[tuple(slice(0, part.stop - part.start) for part in where)]
    partial.rename(path)


def write_model(path: Path, config: UNetConfig) -> None:
    """Write a network with random weights for grey values from 0 to 255."""
    torch.manual_seed(0)
    description = ModelDescription(
        name=path.stem,
        architecture={"name": "unet", "config": config.to_dict()},
        classes=default_classes(config.classes),
        channels=("0",),
        normalisation=Normalisation("fixed", 0, 255),
    )
    save_model(path, UNet(config).initialise(), description)


def _starts(shape: tuple[int, ...], chunk: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for index in np.ndindex(*(math.ceil(n / c) for n, c in zip(shape, chunk))):
        yield tuple(i * c for i, c in zip(index, chunk))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=["paper", "narrow", "volume"])
    arguments = parser.parse_args()
    for name in arguments.names:
        LOADS[name].prepare(arguments.folder)
        print(LOADS[name].image(arguments.folder))


if __name__ == "__main__":
    main()
