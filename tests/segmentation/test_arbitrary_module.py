"""A foreign network in the same engine: zero-padded, with bilinear upsampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zarr
from nuclei_broad import NucleiBroad
from torch import nn

import bigunet
from bigunet import Model, Normalisation, SegmentOptions


@pytest.mark.slow
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
    # Random weights favour one class. This threshold makes both classes occur.
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


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torchscript_that_ends_in_a_sigmoid_gives_its_own_probabilities(client, tmp_path) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 1, 3)
    image = np.random.default_rng(0).integers(0, 256, (70, 90)).astype(np.uint8)
    mirrored = torch.from_numpy(np.pad(image, 1, mode="reflect") / np.float32(255))[None, None]
    with torch.no_grad():
        conv.bias -= conv(mirrored).median()
        conv.weight *= 9
        conv.bias *= 9
    module = torch.jit.script(nn.Sequential(conv, nn.Sigmoid()).eval())
    with torch.inference_mode():
        expected = module(mirrored)[0, 0].numpy()
    zarr.create_array(str(tmp_path / "in.zarr"), data=image, chunks=(40, 40))
    bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", client=client,
        model=Model.of_module(module, ndim=2, normalisation=Normalisation("fixed", 0, 255)),
        options=SegmentOptions(block_shape=(48, 48), outputs=("classes", "probabilities")),
    )  # fmt: skip
    labels = zarr.open_array(str(tmp_path / "out.zarr/labels/classes/0"), mode="r")[:]
    shares = zarr.open_array(str(tmp_path / "out.zarr/probabilities/0"), mode="r")[:]
    firm = np.abs(expected - 0.5) > 1e-5
    assert 0.3 < (expected > 0.5).mean() < 0.7
    assert np.array_equal(labels[firm], (expected > 0.5)[firm])
    assert np.abs(shares[1] / 255 - expected).max() <= 0.5 / 255 + 1e-5
    assert np.abs(shares[0] / 255 - (1 - expected)).max() <= 0.5 / 255 + 1e-5
