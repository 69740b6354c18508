"""A network of somebody else's, zero-padded, with bilinear upsampling, in the same engine."""

from __future__ import annotations

import numpy as np
import torch
import zarr
from nuclei_broad import NucleiBroad

import bigunet
from bigunet import Model, Normalisation, SegmentOptions


def test_its_interior_equals_one_plain_pass_whatever_the_blocks(client, tmp_path) -> None:
    torch.manual_seed(0)
    module = NucleiBroad().eval()
    image = np.random.default_rng(0).integers(0, 256, (200, 224)).astype(np.uint8)
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=image.shape, chunks=(90, 70), dtype="uint8"
    )
    array[:] = image
    with torch.inference_mode():
        logits = module(torch.from_numpy(image / np.float32(255))[None, None])[0, 0].numpy()
    # Random weights favour one class: put the threshold where both occur.
    offset = float(np.median(logits))
    with torch.no_grad():
        module.output.bias -= offset
    model = Model.of_module(module, ndim=2, normalisation=Normalisation("fixed", 0, 255))
    assert model.zero_padded
    halo = model.receptive_field.halo[0]
    inner = (slice(halo, -halo),) * 2
    firm = np.abs(logits - offset) > 1e-4 * logits.std()
    for number, block in enumerate([(96, 96), (200, 104)]):
        output = tmp_path / f"out{number}.zarr"
        bigunet.segment(
            tmp_path / "in.zarr", output, model=model, client=client,
            options=SegmentOptions(block_shape=block, tile_shape=(64, 80)),
        )  # fmt: skip
        labels = zarr.open_array(str(output / "labels/classes/0"), mode="r")[:]
        wrong = ((labels == 1) != (logits > offset)) & firm
        assert not wrong[inner].any()
        assert 0.2 < (labels == 1).mean() < 0.8
        assert bigunet.verify(tmp_path / "in.zarr", output, model=model).passed
