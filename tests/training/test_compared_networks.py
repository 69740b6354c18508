"""The networks that the U-Net is compared with: their commands segment as one pass does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from distributed import Client
from support.whole_pass import whole_scores, wrong_labels
from torch import nn

from bigunet import Model, ModelDescription, load_model
from bigunet.model.description import default_classes
from bigunet.model.networks.architectures import build, config_class
from bigunet.segmentation.plan.shapes import pass_memory

NETWORKS = [
    ("fcn", {"depth": 3}, (131, 157), "48,64"),
    ("fcn", {"ndim": 3, "depth": 1}, (9, 40, 37), "8,16,24"),
    ("sliding-window", {"depth": 3, "hidden": 8}, (131, 157), "48,64"),
]


def pixels_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(("architecture", "numbers", "shape", "block"), NETWORKS)
def test_the_commands_give_the_labels_of_one_pass(
    architecture, numbers, shape, block, bigunet: Any, write_model: Any, client: Client, tmp_path
) -> None:
    model_path = write_model(tmp_path / "m.safetensors", architecture=architecture, **numbers)
    pixels, out = pixels_of(shape), tmp_path / "out.zarr"
    zarr.create_array(str(tmp_path / "in.zarr"), shape=shape, chunks=shape, dtype="uint8")[:] = (
        pixels
    )
    done = bigunet(
        *("segment", tmp_path / "in.zarr", out, "--model", model_path, "--block-shape", block),
        *("--scheduler", client.scheduler.address, "--quiet"),
    )
    assert done.code == 0, done.err
    labels = zarr.open_array(str(out / "labels/classes/0"), mode="r")[:]
    assert wrong_labels(labels, whole_scores(load_model(model_path), pixels[None], 0, 255)) == 0
    assert min(np.bincount(labels.ravel(), minlength=3)) > labels.size / 50
    verified = bigunet("verify", tmp_path / "in.zarr", out, "--json")
    assert verified.code == 0, verified.err
    assert verified.json["labels_wrong"] == 0


@pytest.mark.parametrize(("architecture", "numbers", "shape", "block"), NETWORKS)
def test_info_and_plan_name_the_network(
    architecture, numbers, shape, block, bigunet: Any, write_model: Any, tmp_path: Path
) -> None:
    model_path = write_model(tmp_path / "m.safetensors", architecture=architecture, **numbers)
    facts = bigunet("info", model_path, "--json").json
    config = config_class(architecture).from_dict(facts["architecture"]["config"])
    assert facts["architecture"]["name"] == architecture
    assert facts["halo"] == list(config.receptive_field().halo)
    assert facts["stride"] == list(config.receptive_field().stride)
    assert facts["border"] == "valid"
    zarr.create_array(str(tmp_path / "in.zarr"), shape=shape, chunks=shape, dtype="uint8")
    planned = bigunet(
        *("plan", tmp_path / "in.zarr", "--model", model_path, "--block-shape", block, "--json")
    )
    assert planned.code == 0, planned.err
    whole = config.receptive_field().input_shape(shape)
    assert planned.json["flops"] >= config.flops(whole)


@pytest.mark.parametrize(
    ("architecture", "numbers"),
    [
        ("unet", {"width": 512}),
        ("fcn", {"width": 512}),
        ("fcn", {"width": 512, "ndim": 3, "depth": 2}),
        ("sliding-window", {"width": 512, "hidden": 8}),
        ("sliding-window", {"width": 8, "hidden": 2048}),
    ],
)
def test_a_tile_of_a_wide_network_fits_the_memory_meant_for_it(architecture, numbers) -> None:
    with torch.device("meta"):
        module = build({"name": architecture, "config": numbers})
    field = module.config.receptive_field()
    model = Model(module, ModelDescription("m", {}, default_classes(2), ("0",)), "", field)
    held: list[int] = []
    for layer in module.modules():
        # Activations and dropout write into the memory that they read.
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            layer.register_forward_hook(
                lambda _, given, result: held.append(given[0].nbytes + result.nbytes)
            )
    shape = field.input_shape(tuple(8 * s for s in field.stride))
    with torch.inference_mode():
        module.eval()(torch.empty(1, 1, *shape, device="meta"))
    assert max(held) <= pass_memory(model, "fp32")(shape)
