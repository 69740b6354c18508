"""The convolutions and the activations of a U-Net, by the names that 8-bit numbers have."""

from __future__ import annotations

from torch import nn

from bigunet.model.networks.unet import UNet, UNetConfig

FIRST = "encoder.0.0"
HEAD = "head"
Shape = tuple[int, ...]


def is_up(name: str) -> bool:
    """Whether a layer is an up-convolution, with weights (in, out, *kernel)."""
    return name.startswith("up.")


def layer_shapes(config: UNetConfig) -> dict[str, Shape]:
    """Name and shape of the weights of each convolution, from the input to the scores.

    The head has two parts for each score.
    """
    shapes: dict[str, Shape] = {}
    kernel, inputs = (3,) * config.ndim, config.in_channels
    for level in range(config.depth + 1):
        width = config.width * 2**level
        shapes[f"encoder.{level}.0"] = (width, inputs, *kernel)
        shapes[f"encoder.{level}.1"] = (width, width, *kernel)
        inputs = width
    for level in reversed(range(config.depth)):
        width = config.width * 2**level
        shapes[f"up.{level}"] = (2 * width, width, *(2,) * config.ndim)
        shapes[f"decoder.{level}.0"] = (width, 2 * width, *kernel)
        shapes[f"decoder.{level}.1"] = (width, width, *kernel)
    shapes[HEAD] = (2 * config.classes, config.width, *(1,) * config.ndim)
    return shapes


def sources(name: str, depth: int) -> tuple[str, ...]:
    """The layers with outputs that a layer reads; none for the first layer.

    >>> sources("decoder.0.0", 2), sources("up.1", 2), sources("encoder.1.0", 2)
    (('encoder.0.1', 'up.0'), ('encoder.2.1',), ('encoder.0.1',))
    """
    if name == FIRST:
        return ()
    if name == HEAD:
        return ("decoder.0.1",)
    part, number, *place = name.split(".")
    level = int(number)
    if place == ["1"]:
        return (f"{part}.{level}.0",)
    if part == "encoder":
        return (f"encoder.{level - 1}.1",)
    if part == "decoder":
        return (f"encoder.{level}.1", f"up.{level}")
    return (f"{'encoder' if level + 1 == depth else 'decoder'}.{level + 1}.1",)


def convolutions(network: UNet) -> dict[str, nn.Module]:
    """The convolutions of a U-Net by their names."""
    ups = {f"up.{level}": up for level, up in enumerate(network.up)}
    return {**_of_blocks(network, (nn.Conv2d, nn.Conv3d)), **ups, HEAD: network.head}


def activations(network: UNet) -> dict[str, nn.Module]:
    """The modules that give what later layers read, by the names of the convolutions before."""
    ups = {f"up.{level}": up for level, up in enumerate(network.up)}
    return {**_of_blocks(network, (nn.ReLU,)), **ups}


def _of_blocks(network: UNet, kinds: tuple[type[nn.Module], ...]) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for part, blocks in (("encoder", network.encoder), ("decoder", network.decoder)):
        for level, block in enumerate(blocks):
            modules = [module for module in block.children() if isinstance(module, kinds)]
            found |= {f"{part}.{level}.{k}": module for k, module in enumerate(modules)}
    return found
