"""The forward pass: grey values of one tile in, labels and probabilities out, on one device."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
import torch
from torch import Tensor

from bigunet.errors import ModelError, OptionError, StoppedError
from bigunet.model.inference.backend import choose_backend, with_backend
from bigunet.model.inference.convolution import backend_with, with_convolution
from bigunet.model.inference.in_precision import in_precision
from bigunet.model.inference.inputs import GreyRange, NetworkInputs
from bigunet.model.inference.link import Link, UnderWay, link_to
from bigunet.model.inference.score_maps import are_finite, check_scores_finite
from bigunet.model.inference.score_planes import joined, results_of
from bigunet.model.inference.sweep import Sweep, check_can_sweep
from bigunet.model.model import Model
from bigunet.model.networks.unet import UNet
from bigunet.model.probing.scores import as_probabilities
from bigunet.options.choices import BackendChoice, Precision
from bigunet.options.convolution_kind import is_winograd

# When memory ends, torch raises an ordinary RuntimeError on a CPU. So do OpenVINO and, on a GPU,
# cuDNN and cuBLAS, which report that no algorithm fits.
_NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|bad_alloc|out of memory|STATUS_ALLOC_FAILED"
    r"|unable to find a valid cuDNN algorithm|unable to find an engine to execute"
    # Metal takes no array of 4 GB and more, so that smaller tiles may do.
    r"|NDArray > 2\*\*32|NDArray dimension length > INT_MAX",
    re.IGNORECASE,
)
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Prediction:
    """The result of one tile.

    Parameters
    ----------
    labels : ndarray of uint8, (*space)
        The class with the highest score.
    probabilities : ndarray of uint8, (class, *space), or None
        Softmax of the scores, or the network's own probabilities, times 255 and rounded.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes + (0 if self.probabilities is None else self.probabilities.nbytes)


@dataclass(slots=True)
class Pending:
    """A tile that the device may still be computing.

    Parameters
    ----------
    under_way : UnderWay
        Its results are the labels, whether all scores are finite, and the probabilities if they
        are part of the task.
    precision : str
        The precision, for a message.
    """

    under_way: UnderWay
    precision: Precision

    @property
    def seconds(self) -> float:
        """Time in which the device computed; valid once there is a result."""
        return self.under_way.seconds

    def wait(self) -> None:
        """Wait until the device uses none of the tile's memory."""
        self.under_way.wait()

    def result(self) -> Prediction:
        """The result of the tile.

        Raises
        ------
        ModelError
            If a score is not finite.
        """
        labels, finite, *shares = self.under_way.wait()
        check_scores_finite(bool(finite), self.precision)
        return Prediction(labels, shares[0] if shares else None)


class Predictor:
    """A model that is ready to run: folded, on its device, in its precision.

    Only one thread at a time may use it.

    Parameters
    ----------
    model : Model
    grey_range : GreyRange
        The grey range of the image: fixed before the first tile, and the same for all tiles.
    device : str
        The device's name in torch: "cpu", "cuda", "cuda:1", "mps".
    precision : {"fp32", "bf16", "fp16", "int8"}
        The precision of the convolutions; scores are compared in fp32.
    backend : {"auto", "torch", "compile", "openvino"}
        The library that computes; ``auto`` is the fastest one available.
    threads : int, optional
        Number of cores for one tile of OpenVINO; by default as many as torch uses.
    convolution : str
        How convolutions are computed, as the option of `segment` has it; ``auto`` is direct.
    link : Link, optional
        The link to the device; by default the link for its type.
    slab : int
        Planes of a tile's first axis that the network, a U-Net, takes at a time, so that a long
        tile takes little memory; 0 to take each tile at once. Torch computes slabs.
    """

    def __init__(
        self,
        model: Model,
        grey_range: GreyRange,
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
        backend: BackendChoice = "torch",
        threads: int | None = None,
        convolution: str = "direct",
        link: Link | None = None,
        slab: int = 0,
    ) -> None:
        if precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise OptionError(f"precision {precision!r}; known: {known}")
        self.device = torch.device(device)
        if self.device.type == "cuda":
            compute_exactly_on_cuda()
        self.precision = precision
        self._kind = model.scores
        module = in_precision(model, precision, device=device).to(self.device)
        self.winograd = is_winograd(convolution)
        backend = backend_with(convolution, backend)
        if slab:
            check_can_sweep(model.module, backend, convolution, precision)
            backend = "torch"
        self.backend = choose_backend(backend, module, device=device, precision=precision)
        self._layout = torch.contiguous_format
        # On Apple's GPUs channels last is not known to be faster, and torch had faults with it.
        if self.backend != "openvino" and self.device.type != "mps":
            self._layout = torch.channels_last if model.ndim == 2 else torch.channels_last_3d
            module = module.to(memory_format=self._layout)  # type: ignore[call-overload]
        threads = threads or torch.get_num_threads()
        module = with_convolution(
            module,
            convolution,
            backend=self.backend,
            device=device,
            precision=precision,
            threads=threads,
        )
        self._module = with_backend(
            module,
            self.backend,
            in_channels=model.in_channels,
            sample_shape=model.sample_shape,
            precision=precision,
            threads=threads,
        )
        self._sweep = None
        self._abandoned = False
        if slab:
            network = cast(UNet, self._module)
            self._sweep = Sweep(network, slab, dtype=_DTYPES[precision], layout=self._layout)
        self._inputs = NetworkInputs(grey_range, ndim=model.ndim, device=self.device)
        # After the weights are on the device: the link's streams do not wait for that copy.
        self._link = link or link_to(self.device)

    @property
    def depth(self) -> int:
        """Number of tiles to have under way, so that the device need not wait for the host."""
        return self._link.depth

    def abandon(self) -> None:
        """Let a sweep that another thread has begun end at its next slab, with a StoppedError."""
        self._abandoned = True

    def free_memory(self) -> None:
        """Free the memory that the device holds in reserve.

        After a MemoryError, call it outside of the ``except`` block: inside, the traceback still
        holds the memory of the failed pass.
        """
        self._link.free_memory()

    def scores(self, tile: np.ndarray) -> Tensor:
        """Scores of one tile, (class, *space), fp32, on the device.

        If the model gives probabilities, these are the scores; a single probability becomes two.

        Parameters
        ----------
        tile : ndarray, (channel, *space)
            Grey values in any numeric dtype; values that are not finite count as black.

        Raises
        ------
        ModelError
            If a score is not finite, because the precision overflows or weights are damaged.
        MemoryError
            If the pass does not fit the device's memory; a smaller tile may fit.
        """
        with torch.inference_mode(), self._memory_errors():
            scores = joined(self._scores(self._inputs.prepared(tile).to(self.device)), axis=1)
            check_scores_finite(bool(are_finite(scores)), self.precision)
            return scores.clone() if self.backend == "openvino" else scores

    def predict(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Prediction:
        """Labels of the part ``inner`` of the scores, and its probabilities if ``probabilities``.

        Raises
        ------
        ModelError, MemoryError
            As in :meth:`scores`.
        """
        return self.begin(tile, inner, probabilities=probabilities).result()

    def begin(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Pending:
        """Start what :meth:`predict` does; a GPU computes while the caller does something else.

        Raises
        ------
        MemoryError
            As in :meth:`scores`. A ModelError comes with the result.
        """

        def outcome(values: Tensor) -> list[Tensor]:
            kind = self._kind if probabilities else None
            return results_of(self._scores(values), inner, shares=kind)

        with torch.inference_mode(), self._memory_errors():
            return Pending(self._link.run(self._inputs.prepared(tile), outcome), self.precision)

    def _scores(self, values: Tensor) -> Iterator[Tensor]:
        """Scores of prepared values on the device, in parts along their first axis of space.

        The next part and the next tile may overwrite them.
        """
        for part in self._parts(values):
            scores = part[0].float()
            yield as_probabilities(scores) if self._kind == "probabilities" else scores

    def _parts(self, values: Tensor) -> Iterator[Tensor]:
        if self._sweep is not None:
            cuts = self._sweep.slabs(values.shape[1])
            slabs = (self._slab(values[:, cut]) for cut in cuts)
            yield from self._sweep.scores(slabs, values.shape[1:])
            return
        image = self._inputs.normalised(values)
        image = image.unsqueeze(0).contiguous(memory_format=self._layout)
        cast = self.precision in ("bf16", "fp16") and self.backend != "openvino"
        with torch.autocast(self.device.type, _DTYPES.get(self.precision), enabled=cast):
            scores: Tensor = self._module(image)
        yield scores

    def _slab(self, values: Tensor) -> Tensor:
        """The network's input for some planes of a tile."""
        if self._abandoned:
            raise StoppedError("the run has ended")
        return self._inputs.normalised(values).unsqueeze(0)

    @contextlib.contextmanager
    def _memory_errors(self) -> Iterator[None]:
        """Turn the errors of torch and OpenVINO for too little memory into MemoryError."""
        try:
            yield
        except NotImplementedError as error:
            if self.device.type != "mps":
                raise
            raise ModelError(
                f"torch cannot run this network on an Apple GPU ({_first_sentence(error)}): give "
                "--device cpu, or set PYTORCH_ENABLE_MPS_FALLBACK=1 for the command"
            ) from error
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and not _NO_MEMORY.search(str(error)):
                raise
            raise MemoryError(f"{self.device}: {error}") from error


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0]


def compute_exactly_on_cuda() -> None:
    """Compute in fp32 and reproducibly: no TF32 (10 bits of 23), and no choice by measurement."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
