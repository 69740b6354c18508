"""Ways to run the forward pass of a network, to be measured against one another.

Each way is a function of a network in fp32 on its device, of an image (1, channel, *space) from 0
to 1 there, and of a precision. It prepares all that it needs, and returns a function that computes
the scores, (1, class, *inner), in any dtype.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from peak import DTYPES, tf32
from torch import Tensor, nn

Pass = Callable[[], Tensor]
Way = Callable[[nn.Module, Tensor, str], Pass]


def eager(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """The simplest call, as in most programs: one channel after the other in memory."""
    return _autocast(network, image, precision)


def channels_last(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """What bigunet's backend torch does on a GPU: channels last, weights cast in each pass."""
    layout = _layout(image)
    return _autocast(
        network.to(memory_format=layout), image.contiguous(memory_format=layout), precision
    )  # type: ignore[call-overload]


def cast(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """Channels last, and weights that are stored in the precision of the pass."""
    network, image = _cast(network, image, precision)
    return lambda: network(image)


def fused(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """Convolution, bias and ReLU in one call of cuDNN; otherwise as ``cast``."""
    network, image = _cast(fuse(network), image, precision)
    return lambda: network(image)


def graph(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """``cast`` as a CUDA graph, which launches all kernels at once."""
    return _recorded(cast(network, image, precision))


def fused_graph(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """``fused`` as a CUDA graph."""
    return _recorded(fused(network, image, precision))


def compiled(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """What bigunet's backend compile does: torch's compiler, with weights cast in each pass."""
    layout = _layout(image)
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    run = torch.compile(network, dynamic=False)
    return _autocast(run, image.contiguous(memory_format=layout), precision)


def max_autotune(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """Torch's compiler with all of its measurements; it may take minutes once."""
    network, image = _cast(network, image, precision)
    run = torch.compile(network, dynamic=False, mode="max-autotune-no-cudagraphs")
    return lambda: run(image)


def tensorrt(network: nn.Module, image: Tensor, precision: str) -> Pass:
    """NVIDIA's TensorRT, if the package torch_tensorrt is installed."""
    import torch_tensorrt

    network, image = _cast(network, image, precision)
    run = torch_tensorrt.compile(network, inputs=[image], enabled_precisions={DTYPES[precision]})
    return lambda: run(image)


# The ways in the order in which they are measured, and the option of bigunet that takes them.
WAYS: Mapping[str, Way] = {
    "eager": eager,
    "channels-last": channels_last,
    "cast": cast,
    "fused": fused,
    "graph": graph,
    "fused-graph": fused_graph,
    "tensorrt": tensorrt,
    "compile": compiled,
    "max-autotune": max_autotune,
}
OPTIONS = {"channels-last": "--backend torch", "compile": "--backend compile"}
SLOW = ("tensorrt", "compile", "max-autotune")


class FusedConv(nn.Module):
    """A convolution and the ReLU after it: one call of cuDNN on a GPU, two calls elsewhere."""

    def __init__(self, conv: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv
        self.ndim = conv.weight.ndim - 2

    def forward(self, image: Tensor) -> Tensor:
        """ReLU of the convolution of an image (n, channel, *space)."""
        conv = self.conv
        if not image.is_cuda:
            return torch.relu(conv(image))
        ones, padding = [1] * self.ndim, [0] * self.ndim
        return torch.cudnn_convolution_relu(
            image, conv.weight, conv.bias, ones, padding, ones, conv.groups
        )


def fuse(network: nn.Module) -> nn.Module:
    """The network with each valid convolution and the ReLU after it in one; it shares weights."""
    network = copy.copy(network)
    network._modules = dict(network._modules)
    for name, child in network._modules.items():
        if child is not None:
            network._modules[name] = _fused_chain(child) if _is_chain(child) else fuse(child)
    return network


def _is_chain(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and any(
        isinstance(layer, nn.Conv2d | nn.Conv3d) for layer in module
    )


def _fused_chain(chain: nn.Module) -> nn.Module:
    layers: list[nn.Module] = []
    for layer in chain.children():
        if isinstance(layer, nn.ReLU) and layers and isinstance(layers[-1], nn.Conv2d | nn.Conv3d):
            layers[-1] = FusedConv(layers[-1])
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def _autocast(network: Callable[[Tensor], Tensor], image: Tensor, precision: str) -> Pass:
    dtype, lower = DTYPES[precision], precision not in ("fp32", "tf32")

    def run() -> Tensor:
        with torch.autocast(image.device.type, dtype, enabled=lower), tf32(precision == "tf32"):
            return network(image)

    return run


def _cast(network: nn.Module, image: Tensor, precision: str) -> tuple[nn.Module, Tensor]:
    layout, dtype = _layout(image), DTYPES[precision]
    network = network.to(dtype=dtype, memory_format=layout)  # type: ignore[call-overload]
    return network, image.to(dtype=dtype).contiguous(memory_format=layout)


def _recorded(run: Pass) -> Pass:
    """A pass as a CUDA graph; it writes the same memory each time."""
    if not torch.cuda.is_available():
        raise RuntimeError("CUDA graphs need a GPU of NVIDIA")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        scores = run()

    def replay() -> Tensor:
        recorded.replay()
        return scores

    return replay


def _layout(image: Tensor) -> torch.memory_format:
    return torch.channels_last if image.ndim == 4 else torch.channels_last_3d
