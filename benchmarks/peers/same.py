"""The network as its peers take it: it returns as many voxels as it reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bigunet import load_model
from bigunet.geometry import round_up

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


class Same(nn.Module):
    """A network that returns as many voxels as it reads, though its convolutions are valid.

    The result is exact except within a halo of whole strides. Grey values go from 0 to 255.
    """

    def __init__(self, path: Path, precision: str, device: str = "cpu") -> None:
        super().__init__()
        model = load_model(path)
        self.field = model.receptive_field
        self.device = device
        self.module = model.module.eval().to(device)
        self.layout = torch.channels_last if model.ndim == 2 else torch.channels_last_3d
        self.precision = precision
        self.ndim, self.out_channels = model.ndim, len(model.description.classes)
        stride = self.field.stride[0]
        self.halo = round_up(self.field.halo[0], stride)
        self.stride = stride

    def channels_last(self) -> Same:
        """Bring the weights into the layout that is fastest on CPUs, and return the network."""
        self.module = self.module.to(memory_format=self.layout)  # type: ignore[call-overload]
        return self

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """A context for forward passes, in the precision of the network."""
        dtype, lower = DTYPES[self.precision], self.precision not in ("fp32", "tf32")
        with torch.inference_mode(), torch.autocast(self.device, dtype, enabled=lower):
            yield

    def forward(self, image: Tensor) -> Tensor:
        size = image.shape[2:]
        border, stride, rest = self.field.border[0], self.stride, self.field.remainder[0]
        # Poolings fall on the same voxels as in one pass, which begins one border before the image.
        first = -border % stride
        cut = [(n - first - rest) % stride for n in size]
        image = image[(..., *(slice(first, n - c) for n, c in zip(size, cut)))]
        image = (image.float() / 255).contiguous(memory_format=self.layout)
        with self.computing():
            scores = self.module(image).float()
        margins = [(border + first, border + c) for c in cut]
        return nn.functional.pad(scores, [m for pair in reversed(margins) for m in pair])


def labels_of(scores: np.ndarray) -> np.ndarray:
    """The class with the highest score for each voxel, from scores (class, *space)."""
    if len(scores) == 2:
        return (scores[1] > scores[0]).view(np.uint8)
    return scores.argmax(axis=0).astype(np.uint8)
