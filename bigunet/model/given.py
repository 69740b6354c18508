"""A caller's network: unwrapped, checked and copied, or refused in one line.

``bigunet.model.probing.probe`` finds out whether it can be run block by block.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from bigunet.errors import ModelError
from bigunet.model.copying import copied
from bigunet.model.scripted import with_scripts_wrapped

logger = logging.getLogger(__name__)

_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def module_from(given: object) -> nn.Module:
    """A copy of a caller's network, on the CPU, in fp32, in evaluation mode.

    The wrappers ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile`` are removed.

    Raises
    ------
    ModelError
        If it is not a module, or a module that cannot be run. The message says what to do.
    """
    if not isinstance(given, nn.Module):
        raise ModelError(_message_for(given))
    module = unwrapped(given)
    _check_forward(module)
    _check_weights_there(module)
    module = with_scripts_wrapped(copied(module)).cpu()
    check_finite(_named_values(module))
    short = sorted({str(p.dtype) for p in module.parameters() if p.is_floating_point()})
    if short and short != ["torch.float32"]:
        logger.warning(
            "%s has weights in %s: bigunet computes with a copy in float32",
            type(given).__name__, " and ".join(short),
        )  # fmt: skip
    return module.float()


def unwrapped(module: nn.Module) -> nn.Module:
    """The network without ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    while True:
        if isinstance(module, _WRAPPERS):
            module = module.module
        elif isinstance(getattr(module, "_orig_mod", None), nn.Module):
            module = module._orig_mod  # type: ignore[assignment]
        else:
            return module


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelError for the first tensor that has a NaN or infinite value."""
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        if wrong := _num_not_finite(tensor):
            raise ModelError(
                f"{name[-60:]} has {wrong} of {tensor.numel()} weights that are NaN or infinite: "
                "the training diverged or the file is damaged; take an earlier checkpoint"
            )


def _num_not_finite(tensor: Tensor) -> int:
    """Number of values that are NaN or infinite."""
    try:
        # Torch would start its threads for this, which takes a hundred times as long as numpy.
        values = tensor.detach().numpy()
    except (RuntimeError, TypeError):
        # It is on a GPU, or of a type that numpy lacks, such as bf16.
        return int((~torch.isfinite(tensor)).sum())
    return int(np.count_nonzero(~np.isfinite(values)))


def _named_values(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name.

    Infinities in buffers are replaced, because masks of attention need them; infinite statistics
    of batch normalisation stay, because they are errors.
    """
    values: dict[str, Tensor] = {name: p.detach() for name, p in module.named_parameters()}
    for name, buffer in module.named_buffers():
        statistic = name.endswith(("running_mean", "running_var"))
        values[name] = buffer if statistic else buffer.masked_fill(buffer.isinf(), 0)
    return values


def _message_for(given: object) -> str:
    """The message for an object that is not a module."""
    if isinstance(given, (str, os.PathLike)):
        name = os.path.basename(os.fspath(given))[-40:]
        return (
            f"{name!r} is a path, not a module: for a bigunet file call bigunet.load_model(path), "
            "for any other load it into your network first"
        )
    if isinstance(given, Mapping):
        first = ", ".join(repr(str(key)[:30]) for key in list(given)[:2])
        return (
            f"a dict of {len(given)} entries ({first}, …) holds weights, not a network: build the "
            "network, call its load_state_dict, and give the network"
        )
    if isinstance(given, type) and issubclass(given, nn.Module):
        return f"{given.__name__} is a class: give a module made of it, {given.__name__}(...)"
    if type(given).__name__ == "ExportedProgram":
        return "an ExportedProgram takes one shape only: give the module that was exported"
    if callable(getattr(given, "module", None)) or hasattr(given, "receptive_field"):
        return f"a {type(given).__name__} is no torch module: give it as the model as it is"
    return (
        f"a {type(given).__name__} is no torch module: give a torch.nn.Module that maps "
        "(n, channel, *space) to scores (n, class, *space)"
    )


def _check_forward(module: nn.Module) -> None:
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        return
    if type(module).forward is nn.Module.forward and "forward" not in vars(module):
        raise ModelError(f"{name} has no forward(): give the network that holds it")
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        p.name
        for number, p in enumerate(parameters)
        if p.default is p.empty
        and (p.kind is inspect.Parameter.KEYWORD_ONLY or (p.kind in kinds and number > 0))
    ]
    if needed:
        more = ", ".join(needed[:3])
        raise ModelError(
            f"{name}.forward needs {more} besides the image: wrap it in a module with a forward "
            "that takes the image alone"
        )
    if not any(p.kind in (*kinds, inspect.Parameter.VAR_POSITIONAL) for p in parameters):
        raise ModelError(f"{name}.forward takes no image; it must take one tensor")


def _check_weights_there(module: nn.Module) -> None:
    for path, layer in module.named_modules():
        if type(layer).__module__.startswith(_QUANTISED):
            raise ModelError(
                f"layer {path[-40:]!r} ({type(layer).__name__}) is quantised: give the module "
                "before its quantisation, with float weights"
            )
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in tensors.items():
        if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
            raise ModelError(
                f"{name[-60:]} has no shape yet (a lazy layer): run the module on one image first"
            )
        if tensor.is_meta:
            raise ModelError(
                f"{name[-60:]} is on the meta device and has no values: load the weights first"
            )
        if tensor.is_quantized:
            raise ModelError(f"{name[-60:]} is quantised: give the module with float weights")
