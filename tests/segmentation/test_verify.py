"""Verify passes only with meaningful scores; plans need no count of operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import zarr
from torch import Tensor, nn

import bigunet
from bigunet import Model, Normalisation
from bigunet.errors import ModelError
from bigunet.segmentation.verify_report import VerifyReport


class LooksAtValues(nn.Module):
    """A network that looks at its input, so that it cannot run on shapes alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x * 0) if bool((x > 1e9).any()) else self.conv(x)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model.of_module(LooksAtValues(), ndim=2, normalisation=Normalisation("fixed", 0, 255))


def test_a_run_is_finished_and_verified_without_a_count_of_operations(
    model: Model, client, tmp_path
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 70)).astype(np.uint8)
    array = zarr.create_array(str(tmp_path / "in.zarr"), shape=image.shape, dtype="uint8")
    array[:] = image
    planned = bigunet.plan(tmp_path / "in.zarr", model=model).to_dict()
    assert planned["flops"] is None
    assert planned["recompute"] is None
    bigunet.segment(tmp_path / "in.zarr", tmp_path / "out.zarr", model=model, client=client)
    assert bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr", model=model).passed

    module = LooksAtValues()
    nn.init.constant_(module.conv.weight, torch.nan)
    broken = replace(model, module=module.eval())
    with pytest.raises(ModelError, match="not finite in fp32"):
        bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr", model=broken)


@pytest.mark.parametrize("difference", [float("nan"), float("inf"), 1e-3])
def test_a_large_difference_or_nan_does_not_pass(difference: float) -> None:
    report = VerifyReport(1, 1, 1, "fp32", difference, 0, 0)
    assert not report.passed
