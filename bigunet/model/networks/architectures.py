"""The networks that bigunet can build, by the names under which model files know them."""

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
    """The names that :func:`build` knows."""
    return tuple(_ARCHITECTURES)


def config_class(name: object) -> type[NetworkConfig]:
    """The dataclass of the numbers that make a network of this name.

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
        ``{"name": "unet", "config": {...}}``; numbers left out are the defaults.

    Raises
    ------
    ModelError
        If there is no such architecture, the numbers make no network, or its weights take more
        than the memory of this machine.
    """
    found = _architecture(architecture.get("name"))
    config = found.config.from_dict(architecture.get("config", {}))
    with torch.device("meta"):
        planned = found.network(config)
    if torch.get_default_device().type == "meta":
        return planned
    num_bytes = 4 * sum(p.numel() for p in planned.parameters())
    memory = usable_memory_bytes()
    if num_bytes > memory:
        raise ModelError(
            f"the weights of this network take {num_bytes / 1e9:.0f} GB, this machine has "
            f"{memory / 1e9:.0f} GB of memory: give a smaller width or depth"
        )
    return found.network(config)


def architecture_of(module: nn.Module) -> dict[str, Any]:
    """Name and numbers of a network, from which :func:`build` makes another one like it.

    Raises
    ------
    ModelError
        If the module is none of bigunet's networks.
    """
    for name, known in _ARCHITECTURES.items():
        # A subclass may compute what it likes; another network would be built from its file.
        if isinstance(module, Network) and type(module) is known.network:
            return {"name": name, "config": module.config.to_dict()}
    raise ModelError(
        f"{type(module).__name__} is no network of bigunet's, so no model file can describe it; "
        f"those are {', '.join(_ARCHITECTURES)}"
    )


def _architecture(name: object) -> _Architecture:
    found = _ARCHITECTURES.get(name) if isinstance(name, str) else None
    if found is None:
        known = ", ".join(_ARCHITECTURES)
        raise ModelError(f"unknown architecture {brief(name)}; this bigunet knows: {known}")
    return found
