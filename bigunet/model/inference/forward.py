"""The forward pass: grey values of one tile in, labels and probabilities out, on one device."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bigunet.choices import BackendChoice, Precision
from bigunet.errors import ModelError, OptionError
from bigunet.model.inference.backend import choose_backend, with_backend
from bigunet.model.inference.folding import fold_batch_norm
from bigunet.model.inference.inputs import GreyRange, NetworkInputs
from bigunet.model.inference.link import Link, UnderWay, link_to
from bigunet.model.model import Model
from bigunet.model.probing.scores import as_probabilities

# torch raises a RuntimeError like any other when a CPU's memory ends, and so do OpenVINO and, on
# GPUs, cuDNN and cuBLAS, for which an algorithm that fits is not found.
_NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|bad_alloc|out of memory|STATUS_ALLOC_FAILED"
    r"|unable to find a valid cuDNN algorithm|unable to find an engine to execute",
    re.IGNORECASE,
)
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one tile became.

    Parameters
    ----------
    labels : ndarray of uint8, (*space)
        The class with the highest score.
    probabilities : ndarray of uint8, (class, *space), or None
        Softmax of the scores, or the probabilities that the network gives, times 255, rounded.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes + (0 if self.probabilities is None else self.probabilities.nbytes)


@dataclass(slots=True)
class Pending:
    """A tile that the device was given.

    Parameters
    ----------
    under_way : UnderWay
        Labels, whether all scores are finite, and probabilities if asked.
    precision : str
        For the message.
    """

    under_way: UnderWay
    precision: Precision

    @property
    def seconds(self) -> float:
        """In which the device computed; once there is a result."""
        return self.under_way.seconds

    def wait(self) -> None:
        """Wait until the device uses none of the tile's memory."""
        self.under_way.wait()

    def result(self) -> Prediction:
        """What became of the tile; ModelError, if its scores are not finite."""
        labels, finite, *chances = self.under_way.wait()
        _check_finite(bool(finite), self.precision)
        return Prediction(labels, chances[0] if chances else None)


class Predictor:
    """A model made ready to run: folded, on its device, in its precision.

    One thread at a time may give it tiles.

    Parameters
    ----------
    model : Model
    grey_range : GreyRange
        The image's; fixed before the first tile, the same for all.
    device : str
        As torch names it: "cpu", "cuda", "cuda:1".
    precision : {"fp32", "bf16", "fp16"}
        Of the convolutions; scores are compared as fp32.
    backend : {"auto", "torch", "compile", "openvino"}
        What computes; ``auto`` is the fastest that there is.
    threads : int, optional
        Cores that OpenVINO uses for one tile; by default those that torch uses.
    link : Link, optional
        The way to the device; by default the one that fits it.
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
        link: Link | None = None,
    ) -> None:
        if precision not in _DTYPES:
            raise OptionError(f"precision {precision!r}; known: {', '.join(_DTYPES)}")
        self.device = torch.device(device)
        if self.device.type == "cuda":
            compute_exactly_on_cuda()
        self.precision = precision
        self._probabilities = model.scores == "probabilities"
        module = fold_batch_norm(model.module).to(self.device)
        self.backend = choose_backend(backend, module, device=device, precision=precision)
        self._layout = torch.contiguous_format
        if self.backend != "openvino":
            self._layout = torch.channels_last if model.ndim == 2 else torch.channels_last_3d
            module = module.to(memory_format=self._layout)  # type: ignore[call-overload]
        field = model.receptive_field
        self._module = with_backend(
            module,
            self.backend,
            in_channels=model.in_channels,
            sample_shape=field.input_shape(field.stride),
            precision=precision,
            threads=threads or torch.get_num_threads(),
        )
        self._inputs = NetworkInputs(grey_range, ndim=model.ndim, device=self.device)
        # Last: once the weights are there, for streams that do not wait for one another.
        self._link = link or link_to(self.device)

    @property
    def depth(self) -> int:
        """Tiles to have under way at a time, so that the device need not wait for the host."""
        return self._link.depth

    def free_memory(self) -> None:
        """Give back what the device holds in reserve; after a MemoryError that is dealt with.

        Until then what the failed pass took is held by its traceback.
        """
        self._link.free_memory()

    def scores(self, tile: np.ndarray) -> Tensor:
        """Scores of one tile, (class, *space) fp32 on the device.

        Of a model that gives probabilities they are these, two for a single one.

        Parameters
        ----------
        tile : ndarray, (channel, *space)
            Grey values in any numeric dtype; those that are not finite count as black.

        Raises
        ------
        ModelError
            If a score is not finite: an overflow of the precision, or damaged weights.
        MemoryError
            If the device's memory does not hold the pass; a smaller tile may fit.
        """
        with torch.inference_mode(), self._memory_errors():
            scores = self._scores(self._inputs.prepared(tile).to(self.device))
            _check_finite(bool(_are_finite(scores)), self.precision)
            return scores.clone() if self.backend == "openvino" else scores

    def predict(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Prediction:
        """Labels, and probabilities if asked, of the part ``inner`` of the scores.

        Raises
        ------
        ModelError, MemoryError
            As :meth:`scores`.
        """
        return self.begin(tile, inner, probabilities=probabilities).result()

    def begin(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Pending:
        """As :meth:`predict`, but a GPU goes on with it while the caller does something else.

        Raises
        ------
        MemoryError
            As :meth:`scores`; a ModelError comes with the result.
        """

        def outcome(values: Tensor) -> list[Tensor]:
            scores = self._scores(values)
            kept = scores[(slice(None), *inner)]
            chances = [self._to_bytes(kept)] if probabilities else []
            return [labels_of(kept), _are_finite(scores), *chances]

        with torch.inference_mode(), self._memory_errors():
            return Pending(self._link.run(self._inputs.prepared(tile), outcome), self.precision)

    def _scores(self, values: Tensor) -> Tensor:
        """Scores, which the next tile may write over, of prepared values on the device."""
        image = self._inputs.normalised(values)
        image = image.unsqueeze(0).contiguous(memory_format=self._layout)
        cast = self.precision != "fp32" and self.backend != "openvino"
        with torch.autocast(self.device.type, _DTYPES[self.precision], enabled=cast):
            scores: Tensor = self._module(image)
        found = scores[0].float()
        return as_probabilities(found) if self._probabilities else found

    def _to_bytes(self, scores: Tensor) -> Tensor:
        shares = scores if self._probabilities else probabilities_of(scores)
        return (shares * 255).round().clamp(0, 255).to(torch.uint8)

    @contextlib.contextmanager
    def _memory_errors(self) -> Iterator[None]:
        """Whatever torch or OpenVINO say when memory ends, as Python says it."""
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and not _NO_MEMORY.search(str(error)):
                raise
            raise MemoryError(f"{self.device}: {error}") from error


def labels_of(scores: Tensor) -> Tensor:
    """Class of each voxel, uint8: the highest score; foreground where a single score exceeds 0.

    Of equal scores the first counts. Scores are (class, *space), and finite.
    """
    if scores.shape[0] == 1:
        return (scores[0] > 0).to(torch.uint8)
    # Ten times as fast as argmax along the first axis, which walks across memory.
    best, *others = scores
    labels = torch.zeros(best.shape, dtype=torch.uint8, device=scores.device)
    for number, score in enumerate(others, start=1):
        labels.masked_fill_(score > best, number)
        if number < len(others):
            best = torch.maximum(best, score)
    return labels


def _are_finite(scores: Tensor) -> Tensor:
    """Whether all are, in one pass and without asking the device."""
    lowest, highest = torch.aminmax(scores)
    return torch.isfinite(lowest) & torch.isfinite(highest)


def _check_finite(finite: bool, precision: Precision) -> None:
    if not finite:
        cause = "its weights are damaged, or voxels lie far beyond the grey range"
        if precision != "fp32":
            cause = "an overflow; run it in fp32"
        raise ModelError(f"the network gave scores that are not finite in {precision}: {cause}")


def score_margin(scores: Tensor) -> Tensor:
    """By how much the best score of each voxel exceeds the next: how firm its label is."""
    if scores.shape[0] == 1:
        return scores[0].abs()
    best = scores.topk(2, dim=0).values
    return best[0] - best[1]


def probabilities_of(scores: Tensor) -> Tensor:
    """Softmax over classes; of a single score s, the two classes' 1 - sigmoid(s), sigmoid(s)."""
    if scores.shape[0] == 1:
        scores = torch.cat((torch.zeros_like(scores), scores))
    return scores.softmax(dim=0)


def compute_exactly_on_cuda() -> None:
    """TF32 keeps 10 bits of fp32's 23; cuDNN's choice of algorithm changes between runs."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
