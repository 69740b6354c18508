"""The weights of a package: a state dict with the source of its network, and ONNX."""

from __future__ import annotations

import importlib
import inspect
import io
import warnings
from typing import Any

import torch
from torch import nn

from bigunet.errors import OptionError
from bigunet.exporting import unet_source
from bigunet.extras import how_to_add
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.model import Model
from bigunet.model.networks.unet import UNet

ONNX_OPSET = 17
STATE_FILE, SOURCE_FILE, ONNX_FILE = "weights.pt", "unet.py", "weights.onnx"
_SPACE = ("z", "y", "x")


def state_dict(module: nn.Module) -> bytes | None:
    """The state dict of a U-Net; None for a network without a source of its own."""
    if type(module) is not UNet:
        return None
    buffer = io.BytesIO()
    torch.save({name: t.detach().clone() for name, t in module.state_dict().items()}, buffer)
    return buffer.getvalue()


def network_source() -> bytes:
    """Python that builds a U-Net with torch alone."""
    text = inspect.getsource(unet_source)
    return text.encode()


def network_numbers(module: nn.Module) -> dict[str, Any]:
    """The arguments with which that source builds this network."""
    assert isinstance(module, UNet)
    return module.config.to_dict()


def onnx_program(model: Model) -> bytes:
    """The network as ONNX, for images of any valid size.

    Raises
    ------
    OptionError
        If the package onnx is missing.
    """
    try:
        importlib.import_module("onnx")
    except ImportError as error:
        raise OptionError(
            f"a package needs ONNX weights; install what writes them: {how_to_add('onnx')}"
        ) from error
    field = model.receptive_field
    sample = torch.zeros(1, model.in_channels, *field.input_shape(field.stride))
    names = {0: "batch"} | dict(enumerate(_SPACE[-model.ndim :], start=2))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The exporter that needs no more than onnx. Its bytes are the same each time.
        torch.onnx.export(
            fold_batch_norm(model.module),
            (sample,),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=ONNX_OPSET,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": names, "scores": names},
        )
    return buffer.getvalue()
