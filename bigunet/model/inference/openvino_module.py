"""A network that OpenVINO's graph compiler runs, on CPUs about twice as fast as torch."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from cachetools import LRUCache
from torch import Tensor, nn

from bigunet.errors import ModelError, OptionError
from bigunet.extras import how_to_add
from bigunet.model.inference.int8_graph import int8_graph
from bigunet.model.int8.int8_unet import Int8UNet
from bigunet.model.networks.network import Network

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
OPENVINO_PRECISIONS = tuple(_HINTS)
# For a network of 2 million weights, each trace leaves some 7 MB in torch and OpenVINO until the
# process ends. So a process traces a network only once, even if it runs it again and again.
_graphs: LRUCache[bytes, Any] = LRUCache(4)
_GRAPHS = threading.Lock()


class OpenVinoModule(nn.Module):
    """Gives the scores of another module, computed by OpenVINO on this machine's cores.

    A graph is compiled for each shape of tile when the first tile of that shape comes. Several
    threads may run tiles at the same time.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, on the CPU; maps (n, channel, *space) to (n, class, *inner). Its
        operations must not depend on its input's values, because it is traced once.
    in_channels : int
    sample_shape : sequence of int
        A spatial shape that the module accepts, for tracing.
    precision : {"fp32", "bf16", "int8"}
        The precision of the convolutions.
    threads : int
        Number of cores for one pass.

    Raises
    ------
    OptionError
        If OpenVINO is not installed, or does not support the precision.
    ModelError
        If OpenVINO does not support an operation of the module.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        in_channels: int,
        sample_shape: Sequence[int],
        precision: str,
        threads: int,
    ) -> None:
        super().__init__()
        if precision not in OPENVINO_PRECISIONS:
            known = " or ".join(OPENVINO_PRECISIONS)
            raise OptionError(f"OpenVINO runs in {known}, not in {precision}; give --backend torch")
        openvino = _openvino()
        self._graph = _graph_of(module, torch.zeros((1, in_channels, *sample_shape)))
        self._prepared = module.levels if isinstance(module, Int8UNet) else nn.Identity()
        self._core = openvino.Core()
        self._settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # With pinning, each process would compute on the first cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def forward(self, image: Tensor) -> Tensor:
        """Scores, (1, class, *inner), fp32, for an image (1, channel, *space), fp32.

        The thread's next pass with the same shape overwrites them.
        """
        request = self._request(tuple(image.shape))
        pixels = self._prepared(image).contiguous().numpy()
        outputs = request.infer([pixels], share_inputs=True, share_outputs=True)
        return torch.from_numpy(outputs[0])

    def _request(self, shape: tuple[int, ...]) -> Any:
        """The request of this thread, which holds the memory of its passes."""
        requests: dict[tuple[int, ...], Any] = self._of_thread.__dict__.setdefault("requests", {})
        if shape not in requests:
            with self._lock:
                if shape not in self._compiled:
                    with _GRAPHS:
                        graph = self._graph.clone()
                    graph.reshape(list(shape))
                    self._compiled[shape] = self._core.compile_model(graph, "CPU", self._settings)
            requests[shape] = self._compiled[shape].create_infer_request()
        return requests[shape]


def has_openvino() -> bool:
    """Whether the optional package is installed."""
    try:
        _imported()
    except ImportError:
        return False
    return True


def _graph_of(module: nn.Module, sample: Tensor) -> Any:
    """The module's graph for tiles of any shape; it is shared, so callers must clone it."""
    with _GRAPHS:
        key = _key(module, sample) if isinstance(module, Network) else None
        graph = None if key is None else _graphs.get(key)
        if graph is None:
            graph = int8_graph(module) if isinstance(module, Int8UNet) else _traced(module, sample)
        if key is not None:
            _graphs[key] = graph
        return graph


def _key(network: Network, sample: Tensor) -> bytes:
    """A digest of a network's layers and weights, which determine all that it computes."""
    digest = hashlib.sha256(f"{network!r} {network.config!r} {sample.shape[:2]}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.digest()


def _traced(module: nn.Module, sample: Tensor) -> Any:
    with warnings.catch_warnings(), torch.inference_mode():
        # Two warnings are expected: tracing uses torch.jit, which is deprecated, and Python code
        # reads the input's shape, which is right because each shape has its own graph.
        warnings.simplefilter("ignore")
        try:
            graph = _converted(module, sample)
        except Exception as error:
            raise ModelError(f"OpenVINO cannot run this network: {error}") from error
    graph.reshape([*sample.shape[:2], *(-1 for _ in sample.shape[2:])])
    return graph


def _converted(module: nn.Module, sample: Tensor) -> Any:
    """The module's graph, from OpenVINO's frontend; ``convert_model`` would send telemetry."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    # A second trace shows whether a module gives the same scores twice. The networks of bigunet do,
    # and the check takes a second: it imports torch's distributed tensors, and sympy.
    again = {"check_trace": not isinstance(module, Network)}
    # This variable keeps the decoder alive until all is converted; the frontend does not.
    decoder = TorchScriptPythonDecoder(module, example_input=sample, trace_kwargs=again)
    return frontend.convert(frontend.load(decoder))


def _openvino() -> Any:
    try:
        return _imported()
    except ImportError as error:
        raise OptionError(f"--backend openvino needs OpenVINO: {how_to_add('openvino')}") from error


def _imported() -> Any:
    with _without_telemetry():
        import openvino
    return openvino


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """A context to import OpenVINO without telemetry; it stays off until Python ends.

    With telemetry, the import writes an id of the user into ~/intel and sends it to a server.
    """
    name, absent = "openvino_telemetry", object()
    before = sys.modules.get(name, absent)
    # For Python, None means that a package is not installed; OpenVINO then uses its own stub.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is absent:
            del sys.modules[name]
        else:
            sys.modules[name] = before  # type: ignore[assignment]
