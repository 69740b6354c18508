"""The networks that bigunet can build, by their names in model files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bigunet.errors import ModelError
from bigunet.machine.memory import usable_memory_bytes
from bigunet.model.brief import brief
from bigunet.model.networks.fcn import FCN, FCNConfig
from bigunet.model.networks.network import Network, NetworkConfig
from bigunet.model.networks.sliding_window import SlidingWindow, SlidingWindowConfig
from bigunet.model.networks.unet import UNet, UNetConfig


@dataclass(frozen=True, slots=True)
class _Architecture:
    config: type[NetworkConfig]
    network: Callable[[Any], Network]


_ARCHITECTURES = {
    "unet": _Architecture(UNetConfig, UNet),
    "fcn": _Architecture(FCNConfig, FCN),
    "sliding-window": _Architecture(SlidingWindowConfig, SlidingWindow),
}


def architecture_names() -> tuple[str, ...]:
    """The names of all networks that :func:`build` can build."""
    return tuple(_ARCHITECTURES)


def config_class(name: object) -> type[NetworkConfig]:
    """The configuration class of the network with this name.

    Raises
    ------
    ModelError
        If there is no such architecture.

    Examples
    --------
    >>> config_class("unet").__name__
    'UNetConfig'
    """
    return _architecture(name).config


def build(architecture: Mapping[str, Any]) -> Network:
    """A network with torch's random weights.

    Parameters
    ----------
    architecture : mapping
        ``{"name": "unet", "config": {...}}``; missing numbers have their default values.

    Raises
    ------
    ModelError
        If there is no such architecture, if there is no network with these numbers, or if its
        weights need more than the memory of this machine.
    """
    known = _architecture(architecture.get("name"))
    config = known.config.from_dict(architecture.get("config", {}))
    with torch.device("meta"):
        planned = known.network(config)
    if torch.get_default_device().type == "meta":
        return planned
    num_bytes = 4 * sum(p.numel() for p in planned.parameters())
    memory = usable_memory_bytes()
    if num_bytes > memory:
        raise ModelError(
            f"the weights of this network take {num_bytes / 1e9:.0f} GB, this machine has "
            f"{memory / 1e9:.0f} GB of memory: give a smaller width or depth"
        )
    return known.network(config)


def architecture_of(module: nn.Module) -> dict[str, Any]:
    """Name and numbers of a network, from which :func:`build` makes the same network.

    Raises
    ------
    ModelError
        If the module is not one of bigunet's networks.
    """
    for name, known in _ARCHITECTURES.items():
        # Not a subclass: it may compute something else, and its file would build the parent class.
        if isinstance(module, Network) and type(module) is known.network:
            return {"name": name, "config": module.config.to_dict()}
    raise ModelError(
        f"{type(module).__name__} is no network of bigunet's, so no model file can describe it; "
        f"those are {', '.join(_ARCHITECTURES)}"
    )


def _architecture(name: object) -> _Architecture:
    known = _ARCHITECTURES.get(name) if isinstance(name, str) else None
    if known is None:
        names = ", ".join(_ARCHITECTURES)
        raise ModelError(f"unknown architecture {brief(name)}; this bigunet knows: {names}")
    return known
