"""The forward pass: grey values of one tile in, labels and probabilities out, on one device."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bigunet.errors import OptionError
from bigunet.model.model import Model

Precision = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_NORMALISATIONS = (nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, slots=True)
class GreyRange:
    """Grey values that become 0 and 1, one of each per channel."""

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one tile became.

    Parameters
    ----------
    labels : ndarray of uint8, (*space)
        The class with the highest score.
    probabilities : ndarray of uint8, (class, *space), or None
        Softmax of the scores times 255, rounded.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes + (0 if self.probabilities is None else self.probabilities.nbytes)


class Predictor:
    """A model made ready to run: folded, on its device, in its precision.

    Parameters
    ----------
    model : Model
    grey_range : GreyRange
        The image's; fixed before the first tile, the same for all.
    device : str
        As torch names it: "cpu", "cuda", "cuda:1".
    precision : {"fp32", "bf16", "fp16"}
        Of the convolutions; scores are compared as fp32.
    """

    def __init__(
        self,
        model: Model,
        grey_range: GreyRange,
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        if precision not in _DTYPES:
            raise OptionError(f"precision {precision!r}; known: {', '.join(_DTYPES)}")
        self.device = torch.device(device)
        self.precision = precision
        layout = torch.channels_last if model.ndim == 2 else torch.channels_last_3d
        self._layout = layout
        module = fold_batch_norm(model.module).to(self.device)
        self._module = module.to(memory_format=layout)  # type: ignore[call-overload]
        along = (-1, *(1,) * model.ndim)
        self._low = torch.tensor(grey_range.low, device=self.device).reshape(along)
        span = [b - a for a, b in zip(grey_range.low, grey_range.high)]
        self._span = torch.tensor(span, device=self.device).reshape(along)

    def scores(self, tile: np.ndarray) -> Tensor:
        """Scores of one tile, (class, *space) fp32 on the device.

        Parameters
        ----------
        tile : ndarray, (channel, *space)
            Grey values in any numeric dtype; those that are not finite count as black.
        """
        with torch.inference_mode():
            image = torch.from_numpy(_supported(tile)).to(self.device).float()
            image = (image - self._low) / self._span
            image = torch.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
            image = image.unsqueeze(0).contiguous(memory_format=self._layout)
            lower = self.precision != "fp32"
            with torch.autocast(self.device.type, _DTYPES[self.precision], enabled=lower):
                scores: Tensor = self._module(image)
            return scores[0].float()

    def predict(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Prediction:
        """Labels, and probabilities if asked, of the part ``inner`` of the scores."""
        with torch.inference_mode():
            scores = self.scores(tile)[(slice(None), *inner)]
            chances = _to_bytes(scores).cpu().numpy() if probabilities else None
            return Prediction(labels_of(scores).cpu().numpy(), chances)


def labels_of(scores: Tensor) -> Tensor:
    """Class of each voxel, uint8: the highest score; foreground where a single score exceeds 0."""
    if scores.shape[0] == 1:
        return (scores[0] > 0).to(torch.uint8)
    return scores.argmax(dim=0).to(torch.uint8)


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


def _to_bytes(scores: Tensor) -> Tensor:
    return (probabilities_of(scores) * 255).round().to(torch.uint8)


def _supported(tile: np.ndarray) -> np.ndarray:
    """The tile in a dtype that torch can take, without loss."""
    tile = np.ascontiguousarray(tile)
    return tile.astype(np.float32) if tile.dtype.kind == "u" and tile.dtype.itemsize > 1 else tile


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """A copy for inference whose batch normalisations are folded into their convolutions."""
    folded = copy.deepcopy(module).eval()
    for parent in list(folded.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        names = list(parent._modules)
        for first, second in itertools.pairwise(names):
            conv, norm = parent._modules[first], parent._modules[second]
            if isinstance(conv, _CONVOLUTIONS) and isinstance(norm, _NORMALISATIONS):
                parent._modules[first] = fuse_conv_bn_eval(conv, norm)
                parent._modules[second] = nn.Identity()
    return folded
