"""The digest that identifies a module: two that compute differently have different ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from bigunet.model.copying import copied
from bigunet.model.probing.casts import WideCasts
from bigunet.options.choices import ScoreKind
from bigunet.receptive import ReceptiveField


def module_digest(
    module: nn.Module,
    field: ReceptiveField,
    *,
    in_channels: int,
    scores: ScoreKind = "logits",
    shape: Sequence[int] = (),
) -> str:
    """SHA-256 of a module's structure, weights, receptive field, and scores of fixed noise.

    The scores distinguish modules that differ only in plain attributes or in code. They are
    computed in float64 and rounded, so that another machine or another number of threads gives
    the same digest.

    Parameters
    ----------
    shape : sequence of int, optional
        A spatial shape that the module takes; by default the smallest one of the field.
    """
    digest = hashlib.sha256(f"{module!r} {field}".encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    digest.update(_fixed_scores(module, shape or field.input_shape(field.stride), in_channels))
    if scores != "logits":
        digest.update(scores.encode())
    return digest.hexdigest()


def _fixed_scores(module: nn.Module, shape: Sequence[int], in_channels: int) -> bytes:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand((1, in_channels, *shape), generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        try:
            with WideCasts():
                scores = copied(module).cpu().double()(noise).double().numpy()
        except RuntimeError:
            # It computes in float32 only; so do networks that are blended.
            scores = copied(module).cpu()(noise.float()).double().numpy()
    scores = np.nan_to_num(scores)
    # Six digits of the largest score are kept; adding 0 turns -0 into 0.
    _, exponent = np.frexp(np.abs(scores).max())
    return bytes((np.rint(np.ldexp(scores, 20 - exponent)) + 0.0).tobytes())
