"""A network run by OpenVINO's graph compiler: on CPUs about twice as fast as torch."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bigunet.errors import ModelError, OptionError
from bigunet.model.networks.network import Network

_HINTS = {"fp32": "f32", "bf16": "bf16"}
OPENVINO_PRECISIONS = tuple(_HINTS)
# Tracing leaves some 7 MB of a network of 2 million weights in torch and OpenVINO for as long as
# Python runs, so a process that runs one network again and again traces it once.
_MOST_GRAPHS = 4
_graphs: OrderedDict[bytes, Any] = OrderedDict()
_GRAPHS = threading.Lock()


class OpenVinoModule(nn.Module):
    """Gives the scores that a module gives, computed by OpenVINO on this machine's cores.

    A graph is compiled for each shape of tile, when the first of it comes. Several threads may
    run tiles at the same time.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, on the CPU; maps (n, channel, *space) to (n, class, *inner). What it
        does must not depend on its input's values: it is traced once.
    in_channels : int
    sample_shape : sequence of int
        Spatial shape that the module accepts, for tracing.
    precision : {"fp32", "bf16"}
        Of the convolutions.
    threads : int
        Cores that one pass uses.

    Raises
    ------
    OptionError
        If OpenVINO is not installed, or has not the precision.
    ModelError
        If the module has operations that OpenVINO does not know.
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
        self._core = openvino.Core()
        self._settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Else each process takes the first cores for its own, and they all compute on those.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def forward(self, image: Tensor) -> Tensor:
        """Scores, (1, class, *inner) fp32, for an image (1, channel, *space) fp32.

        They lie in memory that the thread's next pass of the same shape writes to.
        """
        request = self._request(tuple(image.shape))
        pixels = image.contiguous().numpy()
        found = request.infer([pixels], share_inputs=True, share_outputs=True)
        return torch.from_numpy(found[0])

    def _request(self, shape: tuple[int, ...]) -> Any:
        """This thread's own, so that no other thread's pass is written over."""
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
    """The module's graph for tiles of any shape, which others may use too: to be cloned only."""
    with _GRAPHS:
        key = _key(module, sample) if isinstance(module, Network) else None
        graph = None if key is None else _graphs.get(key)
        if graph is None:
            graph = _traced(module, sample)
        if key is not None:
            _graphs[key] = graph
            _graphs.move_to_end(key)
            if len(_graphs) > _MOST_GRAPHS:
                _graphs.popitem(last=False)
        return graph


def _key(network: Network, sample: Tensor) -> bytes:
    """What tells networks apart: their layers and weights say all that they do."""
    digest = hashlib.sha256(f"{network!r} {network.config!r} {sample.shape[:2]}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.digest()


def _traced(module: nn.Module, sample: Tensor) -> Any:
    with warnings.catch_warnings(), torch.inference_mode():
        # It traces with torch.jit, which is deprecated; and that Python looks at the input's
        # shape is as it should be, since each shape has a graph of its own.
        warnings.simplefilter("ignore")
        try:
            graph = _converted(module, sample)
        except Exception as error:
            raise ModelError(f"OpenVINO cannot run this network: {error}") from error
    graph.reshape([*sample.shape[:2], *(-1 for _ in sample.shape[2:])])
    return graph


def _converted(module: nn.Module, sample: Tensor) -> Any:
    """The module's graph, by OpenVINO's frontend; its ``convert_model`` would phone home."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    # Held here until all is converted: the frontend does not.
    decoder = TorchScriptPythonDecoder(module, example_input=sample)
    return frontend.convert(frontend.load(decoder))


def _openvino() -> Any:
    try:
        return _imported()
    except ImportError as error:
        raise OptionError(
            "--backend openvino needs OpenVINO: pip install 'bigunet[openvino]'"
        ) from error


def _imported() -> Any:
    with _without_telemetry():
        import openvino
    return openvino


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """Import OpenVINO without its telemetry, which it then does without as long as Python runs.

    Else its import writes a number of this user into ~/intel, and sends it to a server.
    """
    name, absent = "openvino_telemetry", object()
    before = sys.modules.get(name, absent)
    # Python takes None for a package that is not installed, and OpenVINO then takes its own stub.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is absent:
            del sys.modules[name]
        else:
            sys.modules[name] = before  # type: ignore[assignment]
