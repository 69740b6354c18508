"""What a module's scores are: logits, or probabilities because it ends in a sigmoid or softmax.

The scores are measured with images of very small to extremely large values, of both signs. Scores
that always stay within 0 and 1, and come near one of them, are probabilities: logits would not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bigunet.errors import ModelError
from bigunet.model.probing.trial import Trial
from bigunet.options.choices import ScoreKind

_AMPLITUDES = (1.0, 10.0, -10.0, 1000.0, -1000.0)
_ROUNDING = 1e-6
# Softmax may be computed in bf16, or kept away from 0.
_SUM_TOLERANCE = 0.01
_NEAR = 0.02
_SIGMOIDS = {"sigmoid", "hardsigmoid", "special_expit"}
_SOFTMAX = {"softmax", "_softmax", "_safe_softmax"}
# A single score after one of these is no logit: its sign or its size means something else.
_NO_LOGITS = {
    *("abs", "atan", "celu", "clamp", "clamp_max", "clamp_min", "elu", "erf", "exp", "hardtanh"),
    *("log_sigmoid", "log_sigmoid_forward", "log_softmax", "_log_softmax", "pow", "relu", "relu6"),
    *("softplus", "softsign", "sqrt", "square", "tanh", "threshold"),
}
# These only pass on the values of an earlier operation, or a part of them.
_PASSING = {
    *("alias", "cat", "clone", "constant_pad_nd", "contiguous", "detach", "expand", "flip"),
    *("index", "movedim", "narrow", "nan_to_num", "pad", "permute", "reshape", "select", "slice"),
    *("squeeze", "to", "_to_copy", "transpose", "unsqueeze", "view", "_unsafe_view", "unbind"),
    *("upsample_bilinear2d", "upsample_nearest2d", "upsample_nearest3d", "upsample_trilinear3d"),
}


def score_kind(test: Trial, size: int, stated: ScoreKind | None) -> ScoreKind:
    """What the scores of a module are.

    Parameters
    ----------
    size : int
        Size of a tile that the module accepts.
    stated : {"logits", "probabilities"} or None
        What the caller says; None if the caller does not know.

    Raises
    ------
    ModelError
        If the scores are neither, if the measurement is not clear, or if it contradicts
        ``stated``.
    """
    if stated is not None and stated not in get_args(ScoreKind):
        raise ModelError(f"scores is {stated!r}; give 'logits' or 'probabilities'")
    values = _finite_scores(test, size)
    if not values.numel():
        raise ModelError("the module gives no finite score for plain noise: its weights are broken")
    last = _last_step(test, size)
    if stated is None and _are_whole(values):
        raise ModelError(
            "the module gives whole numbers only, as argmax or a threshold does: take that step "
            "out, bigunet does it itself; else give scores='logits' or 'probabilities'"
        )
    kind = _kind_of_one(values, last) if values.shape[0] == 1 else _kind_of_several(values, last)
    if stated == "probabilities" and not _sum_to_one(values):
        raise ModelError(
            f"scores='probabilities', but the module gives {_range(values)}"
            + (" that do not sum to 1 over the classes" if values.shape[0] > 1 else "")
            + ": give scores='logits'"
        )
    if stated is not None:
        return stated
    if isinstance(kind, ModelError):
        raise kind
    return kind


def _kind_of_one(values: Tensor, last: str) -> ScoreKind | ModelError:
    if last in _SIGMOIDS:
        return "probabilities"
    if last in _SOFTMAX:
        return ModelError("a softmax over one score is always 1: take it out, or give two scores")
    if last in _NO_LOGITS:
        return _unclear(values, f"one score that ends in {last}")
    if not _within_0_and_1(values):
        return "logits"
    low, high = float(values.min()), float(values.max())
    if low == high == 0:
        return "logits"
    if high - low > _ROUNDING and (low < _NEAR or high > 1 - _NEAR):
        return "probabilities"
    return _unclear(values, "one score")


def _kind_of_several(values: Tensor, last: str) -> ScoreKind | ModelError:
    if _sum_to_one(values):
        return "probabilities"
    if last in _SOFTMAX:
        return ModelError(
            "the module ends in a softmax over another axis than the classes: use softmax(dim=1), "
            "or take it out"
        )
    if last in _SIGMOIDS or (
        _within_0_and_1(values) and float(values.max() - values.min()) > _ROUNDING
    ):
        return ModelError(
            f"{values.shape[0]} scores within 0 to 1 that do not sum to 1 (a sigmoid for each): "
            "classes here exclude each other; take the sigmoid out, or give scores='logits' for "
            "the highest"
        )
    return "logits"


def _unclear(values: Tensor, what: str) -> ModelError:
    return ModelError(
        f"{what}, {_range(values)}: logit or probability? Take the last step out, or give "
        "scores='logits' (foreground above 0) or scores='probabilities' (above 0.5)"
    )


def _range(values: Tensor) -> str:
    return f"{float(values.min()):.3g} to {float(values.max()):.3g}"


def _within_0_and_1(values: Tensor) -> bool:
    return bool(values.min() >= -_ROUNDING and values.max() <= 1 + _ROUNDING)


def _sum_to_one(values: Tensor) -> bool:
    """Whether the scores of each voxel are probabilities of classes that exclude each other."""
    if not _within_0_and_1(values):
        return False
    return values.shape[0] == 1 or bool(((values.sum(dim=0) - 1).abs() <= _SUM_TOLERANCE).all())


def _are_whole(values: Tensor) -> bool:
    return bool((values == values.round()).all()) and bool(values.min() < values.max())


def _finite_scores(test: Trial, size: int) -> Tensor:
    """Finite scores, (class, voxel), of images of very small to extremely large values."""
    parts = []
    for image in _images(test, size):
        scores = test.run(image)
        if scores is not None:
            flat = scores[0].flatten(1)
            parts.append(flat[:, torch.isfinite(flat).all(dim=0)])
    return torch.cat(parts, dim=1) if parts else torch.empty(0)


def _images(test: Trial, size: int) -> Iterator[Tensor]:
    noise = test.noise(size)
    yield from (noise * amplitude for amplitude in _AMPLITUDES)
    yield (noise - 0.5) * 1000


def _last_step(test: Trial, size: int) -> str:
    """ATen's name of the last operation that computes values; empty if none was recorded."""
    with torch.inference_mode(), test.casts(), _OperationLog() as log:
        output = test.module(test.noise(size))
        return str(log.operation_behind(output))


class _OperationLog(TorchDispatchMode):
    """Records which operation made each tensor, those of TorchScript included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: dict[int, tuple[Tensor, str, tuple[Any, ...]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        name = name if name.startswith("_") else name.rstrip("_")
        for one in output if isinstance(output, (tuple, list)) else (output,):
            if isinstance(one, Tensor):
                self._made[id(one)] = (one, name, args)
        return output

    def operation_behind(self, tensor: Any) -> str:
        """The operation that computed a tensor; operations that only pass values on are skipped."""
        for _ in range(100):
            known = self._made.get(id(tensor))
            if known is None:
                return ""
            _, name, args = known
            given = args[0] if args else None
            given = given[0] if isinstance(given, (tuple, list)) and given else given
            behind = self._made.get(id(given))
            clamped = name in ("clamp", "clamp_min", "clamp_max") and behind is not None
            bounded = clamped and behind is not None and behind[1] in _SIGMOIDS | _SOFTMAX
            if name not in _PASSING and not bounded:
                return name
            if behind is None or given is tensor:
                return name
            tensor = given
        return ""


def as_probabilities(scores: Tensor) -> Tensor:
    """Turn a single probability into two, (class, *space); the background's comes first.

    In floating point, ``1 - p < p`` holds exactly for p above 0.5.
    """
    return torch.cat((1 - scores, scores)) if scores.shape[0] == 1 else scores


def module_name(module: nn.Module) -> str:
    """The name of a module's class, as users know it."""
    return str(getattr(getattr(module, "script", None), "original_name", type(module).__name__))
