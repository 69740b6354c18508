"""Segment with ``unet2d_nuclei_broad`` of bioimage.io, and compare with its published output.

    python benchmarks/checks/third_party.py FOLDER

FOLDER holds the files of the model (MIT licence): ``state_dict_from_onnx.npz`` (its tensors by
name), ``test_input.npy`` and ``test_output.npy``. The script prints the differences, and exits with
1 if one of them is too large.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import zarr
from nuclei_broad import NucleiBroad

import bigunet
from bigunet import ClusterSpec, Model, Normalisation, SegmentOptions
from bigunet.blocks import BlockGrid
from bigunet.geometry import Box
from bigunet.io.images.discovery import open_multiscale
from bigunet.io.images.volume import VolumeReader
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.tiling import Tiling

TOLERANCE = 1e-4


def load(folder: Path) -> NucleiBroad:
    """The network with the published weights."""
    module = NucleiBroad().eval()
    with np.load(folder / "state_dict_from_onnx.npz") as tensors:
        module.load_state_dict({name: torch.from_numpy(tensors[name]) for name in tensors.files})
    return module


def blockwise(model: Model, path: Path, grey: GreyRange, block: tuple[int, int]) -> np.ndarray:
    """The probability of foreground (y, x), computed block by block and tile by tile."""
    reader = VolumeReader(open_multiscale(path))
    predictor = Predictor(model, grey)
    volume = Box.of_shape(reader.shape)
    tiling = Tiling(model.receptive_field, (64, 96))
    result = np.full(volume.shape, np.nan, np.float32)
    grid = BlockGrid(volume, block)
    for index in grid.traversal():
        write = grid.box(index)
        read = tiling.read_box(write)
        pixels = reader.read(read)
        for tile in tiling.tiles(write):
            scores = predictor.scores(pixels[(slice(None), *tile.input.within(read))])
            kept = scores[0][tile.output.within(tile.scores)]
            result[tile.output.within(volume)] = torch.sigmoid(kept).numpy()
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    image = np.load(folder / "test_input.npy")[0, 0]
    published = np.load(folder / "test_output.npy")[0, 0]
    low, high = float(image.mean()), float(image.mean() + image.std())
    module = load(folder)
    with torch.inference_mode():
        plain = torch.sigmoid(module(torch.from_numpy((image - low) / (high - low))[None, None]))
    model = Model.of_module(module, ndim=2, normalisation=Normalisation("fixed", low, high))
    halo = model.receptive_field.halo[0]
    inner = (slice(halo, -halo),) * 2
    whole_difference = float(np.abs(plain[0, 0].numpy() - published).max())
    print(f"receptive field: {model.receptive_field}")
    print(f"plain pass against the published output: {whole_difference:.1e}")
    differences = [whole_difference]
    with tempfile.TemporaryDirectory() as scratch:
        path, output = Path(scratch, "in.zarr"), Path(scratch, "out.zarr")
        zarr.create_array(str(path), shape=image.shape, chunks=(97, 131), dtype=image.dtype)[:] = (
            image
        )
        grey = GreyRange((low,), (high,))
        for block in ((128, 128), (200, 312)):
            chances = blockwise(model, path, grey, block)
            difference = float(np.abs(chances - published)[inner].max())
            print(f"blocks of {block}, interior, against the published output: {difference:.1e}")
            differences.append(difference)
        bigunet.segment(
            path,
            output,
            model=model,
            options=SegmentOptions(outputs=("classes", "probabilities"), block_shape=(256, 256)),
            client=ClusterSpec(kind="local", workers=2),
        )
        written = zarr.open_group(str(output), mode="r")
        chance = written["probabilities/0"][1].astype(float)
        wrong = (written["labels/classes/0"][:] != (published > 0.5))[inner]
        firm = np.abs(published[inner] - 0.5) > TOLERANCE
        bytes_off = np.abs(chance - published * 255)[inner].max()
    print(f"segment with 2 workers, interior: {int((wrong & firm).sum())} labels differ, ")
    print(f"probabilities off by at most {bytes_off:.3f} of 255 (0.5 is their rounding)")
    failed = max(differences) > TOLERANCE or bool((wrong & firm).any()) or bytes_off > 0.53
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
