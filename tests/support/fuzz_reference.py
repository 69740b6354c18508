"""The reference of the fuzz: all voxels at once in memory, and one pass of the module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from support.fuzz_images import Drawn
from support.whole_pass import mirrored

from bigunet import SegmentReport
from bigunet.model.model import Model


@dataclass(frozen=True)
class Expected:
    """Expected labels of the region, which of them are certain, and expected probabilities."""

    labels: np.ndarray
    firm: np.ndarray
    probabilities: np.ndarray


def normalised(voxels: np.ndarray, values: dict[str, Any]) -> np.ndarray:
    """Network inputs, float64, (channel, *space), computed in the widest floats."""
    channels = []
    for k, channel in enumerate(voxels):
        low, high = (np.longdouble(values[f"values_{end}"][k]) for end in ("low", "high"))
        wide = channel.astype(np.longdouble)
        for padding in values["padding"][k] if values["padding"] else ():
            wide[channel == padding] = np.longdouble(values["fill"][k])
        with np.errstate(all="ignore"):
            inputs = (wide - low) / (high - low)
        inputs[~np.isfinite(wide)] = 0
        bounds = []
        for name in ("least", "greatest"):
            limit = values[name][k] if values[name] else None
            bounds.append(None if limit is None else (np.longdouble(limit) - low) / (high - low))
        ends = [b for b in bounds if b is not None]
        if ends:
            least, greatest = bounds if low < high else bounds[::-1]
            inputs = np.clip(inputs, least, greatest)
        channels.append(inputs.astype(np.float64))
    return np.stack(channels)


def scores_of(model: Model, inputs: np.ndarray) -> torch.Tensor:
    """Scores (class, *space) in float64 of one pass over the mirrored inputs (channel, *space)."""
    field = model.receptive_field
    space = inputs.shape[1:]
    after = tuple(n - s - h for n, s, h in zip(field.input_shape(space), space, field.halo))
    padded = mirrored(inputs, field.halo, after)
    with torch.inference_mode():
        scores = model.module.double()(torch.from_numpy(padded)[None])[0]
    model.module.float()
    inner = [slice(h - b, h - b + s) for h, b, s in zip(field.halo, field.border, space)]
    kept: torch.Tensor = scores[(slice(None), *inner)]
    return kept


def _decided(model: Model, scores: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, margin between the two best classes, and probabilities."""
    if model.scores == "probabilities":
        both = torch.cat((1 - scores, scores)) if scores.shape[0] == 1 else scores
        probabilities = both
    else:
        both = torch.cat((torch.zeros_like(scores), scores)) if scores.shape[0] == 1 else scores
        probabilities = both.softmax(dim=0)
    best = both.topk(2, dim=0).values
    return both.argmax(dim=0).numpy(), (best[0] - best[1]).numpy(), probabilities.numpy()


def expected(
    image: Drawn, report: SegmentReport, mask: np.ndarray | None, options: dict[str, Any]
) -> Expected:
    """The labels that a run must give, for the level, channels and grey range of its report."""
    plan, model = report.plan, report.plan.model
    voxels = image.volume(plan.level, plan.channels)
    inputs = normalised(voxels, report.to_dict()["normalisation"])
    leading = inputs.shape[1 : inputs.ndim - model.ndim]
    space = inputs.shape[inputs.ndim - model.ndim :]
    planes = [
        scores_of(model, inputs[(slice(None), *index)].reshape(-1, *space))
        for index in np.ndindex(*leading)
    ]
    scores = torch.stack(planes, dim=1).reshape(-1, *leading, *space)
    labels, margin, probabilities = _decided(model, scores)
    # Scores can be so large that float32 cannot represent smaller differences.
    noise = 2e-6 * float(scores.abs().max())
    firm = margin > 1e-4 * float(scores.std(correction=0)) + noise
    kept = np.ones(labels.shape, bool)
    if options.get("skip_empty"):
        kept &= image.in_stored_chunks(plan.level, plan.channels)
    if mask is not None:
        kept &= _stretched(mask, labels.shape)
    if options.get("nonfinite") == "background" and voxels.dtype.kind == "f":
        kept &= np.isfinite(voxels).all(axis=0)
    labels = np.where(kept, labels, 0)
    firm |= ~kept
    probabilities = np.where(kept, probabilities, 0)
    probabilities[0][~kept] = 1
    where = tuple(slice(a, b) for a, b in zip(plan.region.start, plan.region.stop))
    return Expected(labels[where], firm[where], probabilities[(slice(None), *where)])


def _stretched(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask of y and x at any resolution, stretched over a volume."""
    for axis, size in zip((-2, -1), shape[-2:]):
        own = mask.shape[axis]
        mask = mask.take((2 * np.arange(size) + 1) * own // (2 * size), axis=axis)
    return np.broadcast_to(mask != 0, shape)
