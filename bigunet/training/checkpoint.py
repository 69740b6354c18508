"""The checkpoint of a training run: all that the next step depends on, in one file, no pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bigunet.errors import OutputError, ResumeError
from bigunet.machine.files import replacing
from bigunet.model.files.writing import give_usual_mode
from bigunet.model.networks.network import Network

_MOST_DIFFERENCES = 5
_KEY = "bigunet-training"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """How far a training run has come, and its best score.

    Parameters
    ----------
    step : int
        Number of steps done.
    seconds : float
        Time of training, without validation.
    waited_seconds : float
        The part of ``seconds`` in which the network waited for patches.
    best_score : float
        Highest validation score; minus infinity before the first validation.
    best_step : int
        Number of steps done when the best score was last reached.
    stale : int
        Number of validations since the best score rose.
    losses : tuple of float
        Losses of the steps since the last row of the curves.
    """

    step: int = 0
    seconds: float = 0.0
    waited_seconds: float = 0.0
    best_score: float = float("-inf")
    best_step: int = 0
    stale: int = 0
    losses: tuple[float, ...] = field(default=())

    def advanced(self, loss: float, seconds: float, waited_seconds: float) -> TrainingState:
        """The state after one more step."""
        return replace(
            self,
            step=self.step + 1,
            seconds=self.seconds + seconds,
            waited_seconds=self.waited_seconds + waited_seconds,
            losses=(*self.losses, loss),
        )

    def scored(self, score: float) -> TrainingState:
        """The state after a validation.

        Without images to validate on, the score is NaN, and the latest network counts as the best.
        Of networks with equal scores, the latest is the best, because it has learned longest.
        """
        if score > self.best_score or math.isnan(score):
            return replace(self, best_score=score, best_step=self.step, stale=0)
        best_step = self.step if score == self.best_score else self.best_step
        return replace(self, best_step=best_step, stale=self.stale + 1)

    def without_losses(self) -> TrainingState:
        """The state after the losses were written as a row of the curves."""
        return replace(self, losses=())


@dataclass(frozen=True, slots=True)
class Learner:
    """What learns: the network, the running average of its weights, and the optimiser."""

    module: Network
    average: Network
    optimiser: torch.optim.Optimizer


def save_checkpoint(
    path: Path, learner: Learner, state: TrainingState, fingerprint: Mapping[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
    learner : Learner
    state : TrainingState
    fingerprint : mapping
        What must be the same for the run to continue; plain data.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in (("module", learner.module), ("average", learner.average)):
        tensors |= {f"{name}.{k}": t for k, t in module.state_dict().items()}
    for index, values in learner.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": _as_tensor(v) for k, v in values.items()}
    tensors = {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}
    metadata = {"progress": asdict(state), "fingerprint": dict(fingerprint)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, sole_writer=True) as partial:
            save_file(tensors, partial, metadata={_KEY: json.dumps(metadata)})
            give_usual_mode(partial)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write the checkpoint {path}: {error}") from error


def load_checkpoint(path: Path, learner: Learner, fingerprint: Mapping[str, Any]) -> TrainingState:
    """Load a checkpoint's tensors into ``learner``, and return the state of its run.

    Raises
    ------
    ResumeError
        If there is no checkpoint, if it is damaged, or if its run began differently. The message
        names the difference.
    """
    if not path.is_file():
        raise ResumeError(f"there is no checkpoint {path} to go on from; train without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _compare(metadata["fingerprint"], json.loads(json.dumps(dict(fingerprint))), path)
        numbers = metadata["progress"]
        state = TrainingState(**{**numbers, "losses": tuple(numbers["losses"])})
        _load(learner, tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, ResumeError):
            raise
        raise ResumeError(f"{path} is not a readable checkpoint: {error}") from error
    return state


def _load(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    learner.module.load_state_dict(_under(tensors, "module."))
    learner.average.load_state_dict(_under(tensors, "average."))
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(tensors, "optimiser.").items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = tensor
    whole = learner.optimiser.state_dict()
    learner.optimiser.load_state_dict({**whole, "state": states})


def _compare(saved: Mapping[str, Any], current: Mapping[str, Any], path: Path) -> None:
    different = list(_differences("", saved, current))
    if different:
        more = len(different) - _MOST_DIFFERENCES
        listed = "; ".join(different[:_MOST_DIFFERENCES])
        if more > 0:
            listed += f"; and {more} more"
        raise ResumeError(
            f"the run of {path} was begun differently: {listed}. Give the same options, or "
            "--overwrite to begin anew"
        )


def _differences(name: str, saved: Any, current: Any) -> Iterator[str]:
    """The differing values only, inside mappings and inside lists of lists."""
    if isinstance(saved, Mapping) and isinstance(current, Mapping):
        for key in {**saved, **current}:
            yield from _differences(key, saved.get(key, "not there"), current.get(key, "not there"))
    elif _is_table(saved) and _is_table(current):
        if len(saved) != len(current):
            yield f"{name}: were {len(saved)}, now {len(current)}"
            return
        for before, now in zip(saved, current):
            if before != now:
                yield f"{name}: was {_as_text(before)}, now {_as_text(now)}"
    elif saved != current:
        yield f"{name}: was {_as_text(saved)}, now {_as_text(current)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, list) for row in value)


def _as_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)
