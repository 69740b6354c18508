"""Which layers of a network are computed by Winograd's method, and the network that does so."""

from __future__ import annotations

import importlib.util

import torch
from torch import nn

from bigunet.errors import OptionError
from bigunet.extras import how_to_add
from bigunet.model.copying import copied
from bigunet.model.inference.folding import is_altered
from bigunet.model.inference.winograd import Cores, WinogradConv, can_replace
from bigunet.options.choices import Backend, BackendChoice, Precision
from bigunet.options.convolution_kind import is_winograd, named_layers

# Numbers of a tile that one product reads and writes. With fewer, transforms cost more than they
# save, with torch 2.13 and AVX2.
_LEAST_INPUTS, _LEAST_OUTPUTS = 32, 16


def has_winograd() -> bool:
    """Whether the optional package numba is installed."""
    return importlib.util.find_spec("numba") is not None


def backend_with(convolution: str, backend: BackendChoice) -> BackendChoice:
    """The choice of a backend, where convolutions by Winograd's method leave torch alone.

    Raises
    ------
    OptionError
        If another backend is asked for.
    """
    if not is_winograd(convolution):
        return backend
    if backend not in ("auto", "torch"):
        raise OptionError(f"Winograd's method runs in torch: leave out --backend {backend}")
    return "torch"


def with_convolution(
    module: nn.Module,
    convolution: str,
    *,
    backend: Backend,
    device: str,
    precision: Precision,
    threads: int,
) -> nn.Module:
    """The module, with convolutions that are computed as chosen.

    Parameters
    ----------
    module : torch.nn.Module
        On its device, in fp32.
    convolution : str
        "auto" and "direct" leave the module as it is; "winograd" takes the layers of
        :func:`usual_layers`.
    threads : int
        Number of cores for one pass.

    Raises
    ------
    OptionError
        If this process cannot compute so, or the module lacks a layer that is named.
    """
    if not is_winograd(convolution):
        return module
    if (backend, torch.device(device).type, precision) != ("torch", "cpu", "fp32"):
        raise OptionError(
            f"Winograd's method runs in torch on a CPU in fp32, not in {backend} on {device} in "
            f"{precision}: give --device cpu --precision fp32, or --convolution direct"
        )
    check_convolution(module, convolution)
    layers = named_layers(convolution) or usual_layers(module)
    return _replaced(module, layers, Cores(threads))


def check_convolution(module: nn.Module, convolution: str) -> None:
    """Raise OptionError if Winograd's method is chosen, and cannot compute the layers here."""
    if not is_winograd(convolution):
        return
    if not has_winograd():
        raise OptionError(f"Winograd's method needs numba: {how_to_add('winograd')}")
    known = replaceable(module)
    if unknown := [name for name in named_layers(convolution) if name not in known]:
        raise OptionError(
            f"this network has no 3-wide convolution {unknown[0]}: give --convolution winograd"
        )


def replaceable(module: nn.Module) -> dict[str, nn.Conv2d | nn.Conv3d]:
    """The convolutions, by their names, that Winograd's method computes, too."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Conv3d))
        and can_replace(layer)
        and not is_altered(layer)
        and not _is_scripted(module, name)
    }


def usual_layers(module: nn.Module) -> tuple[str, ...]:
    """The layers with so many channels that Winograd's method is faster on most CPUs."""
    return tuple(
        name
        for name, conv in replaceable(module).items()
        if conv.in_channels * 3 ** (len(conv.kernel_size) - 2) >= _LEAST_INPUTS
        and conv.out_channels >= _LEAST_OUTPUTS
    )


def _is_scripted(module: nn.Module, name: str) -> bool:
    """Whether a layer or a module around it is TorchScript, which runs as it was compiled."""
    parts = name.split(".")
    paths = [".".join(parts[:n]) for n in range(len(parts) + 1)]
    return any(isinstance(module.get_submodule(p), torch.jit.ScriptModule) for p in paths)


def _replaced(module: nn.Module, layers: tuple[str, ...], cores: Cores) -> nn.Module:
    module = copied(module)
    for name in layers:
        path, _, last = name.rpartition(".")
        parent = module.get_submodule(path)
        after = _relu_after(parent, last)
        conv = parent.get_submodule(last)
        assert isinstance(conv, (nn.Conv2d, nn.Conv3d))
        parent._modules[last] = WinogradConv(conv, cores, relu=bool(after))
        if after:
            parent._modules[after] = nn.Identity()
    return module


def _relu_after(parent: nn.Module, name: str) -> str:
    """The name of the ReLU that certainly follows a layer; empty if there is none."""
    if type(parent).forward is not nn.Sequential.forward or is_altered(parent):
        return ""
    names = list(parent._modules)
    for after in names[names.index(name) + 1 :]:
        layer = parent._modules[after]
        if layer is None or is_altered(layer):
            return ""
        if type(layer) is nn.ReLU:
            return after
        # What is left of a batch normalisation that was folded into the convolution.
        if type(layer) is not nn.Identity:
            return ""
    return ""
