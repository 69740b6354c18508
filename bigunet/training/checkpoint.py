"""The checkpoint of a run: all that the next step depends on, in one file, never pickled."""

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
from bigunet.model.files.model_file import give_usual_mode
from bigunet.model.networks.network import Network

_NUM_TOLD = 5
_KEY = "bigunet-training"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is.

    Parameters
    ----------
    step : int
        Steps done.
    seconds : float
        Of training, validation left out.
    waited_seconds : float
        Of them, waiting for patches.
    best_score : float
        Highest validation score; minus infinity before the first.
    best_step : int
        Steps done when it was last reached.
    stale : int
        Validations since it rose.
    losses : tuple of float
        Of the steps since the last row of the curves.
    """

    step: int = 0
    seconds: float = 0.0
    waited_seconds: float = 0.0
    best_score: float = float("-inf")
    best_step: int = 0
    stale: int = 0
    losses: tuple[float, ...] = field(default=())

    def advanced(self, loss: float, seconds: float, waited_seconds: float) -> Progress:
        """One step on."""
        return replace(
            self,
            step=self.step + 1,
            seconds=self.seconds + seconds,
            waited_seconds=self.waited_seconds + waited_seconds,
            losses=(*self.losses, loss),
        )

    def scored(self, score: float) -> Progress:
        """After a validation; without images for it the score is NaN, and the last is the best.

        Of equal scores the last is the best, too: its network has learnt for longer.
        """
        if score > self.best_score or math.isnan(score):
            return replace(self, best_score=score, best_step=self.step, stale=0)
        best_step = self.step if score == self.best_score else self.best_step
        return replace(self, best_step=best_step, stale=self.stale + 1)

    def told(self) -> Progress:
        """After a row of the curves."""
        return replace(self, losses=())


@dataclass(frozen=True, slots=True)
class Learner:
    """What learns: the network, the average of its weights, and the optimiser."""

    module: Network
    average: Network
    optimiser: torch.optim.Optimizer


def save_checkpoint(
    path: Path, learner: Learner, progress: Progress, fingerprint: Mapping[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
    learner : Learner
    progress : Progress
    fingerprint : mapping
        What must be the same for the run to go on; plain data.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in (("module", learner.module), ("average", learner.average)):
        tensors |= {f"{name}.{k}": t for k, t in module.state_dict().items()}
    for index, state in learner.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": _tensor(v) for k, v in state.items()}
    tensors = {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}
    told = {"progress": asdict(progress), "fingerprint": dict(fingerprint)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, sole_writer=True) as partial:
            save_file(tensors, partial, metadata={_KEY: json.dumps(told)})
            give_usual_mode(partial)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write the checkpoint {path}: {error}") from error


def load_checkpoint(path: Path, learner: Learner, fingerprint: Mapping[str, Any]) -> Progress:
    """Put a checkpoint's tensors into ``learner``, and say where the run was.

    Raises
    ------
    ResumeError
        If there is none, it is damaged, or it belongs to a run that was begun differently; the
        difference is named.
    """
    if not path.is_file():
        raise ResumeError(f"there is no checkpoint {path} to go on from; train without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _compare(told["fingerprint"], json.loads(json.dumps(dict(fingerprint))), path)
        progress = Progress(**{**told["progress"], "losses": tuple(told["progress"]["losses"])})
        _load(learner, tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, ResumeError):
            raise
        raise ResumeError(f"{path} is not a readable checkpoint: {error}") from error
    return progress


def _load(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    learner.module.load_state_dict(_under(tensors, "module."))
    learner.average.load_state_dict(_under(tensors, "average."))
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(tensors, "optimiser.").items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = tensor
    whole = learner.optimiser.state_dict()
    learner.optimiser.load_state_dict({**whole, "state": states})


def _compare(saved: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    different = list(_differences("", saved, wanted))
    if different:
        more = len(different) - _NUM_TOLD
        told = "; ".join(different[:_NUM_TOLD]) + (f"; and {more} more" if more > 0 else "")
        raise ResumeError(
            f"the run of {path} was begun differently: {told}. Give the same options, or "
            "--overwrite to begin anew"
        )


def _differences(name: str, saved: Any, wanted: Any) -> Iterator[str]:
    """Only what differs, of mappings and of lists of lists."""
    if isinstance(saved, Mapping) and isinstance(wanted, Mapping):
        for key in {**saved, **wanted}:
            yield from _differences(key, saved.get(key, "not there"), wanted.get(key, "not there"))
    elif _is_table(saved) and _is_table(wanted):
        if len(saved) != len(wanted):
            yield f"{name}: were {len(saved)}, now {len(wanted)}"
            return
        for before, now in zip(saved, wanted):
            if before != now:
                yield f"{name}: was {_told(before)}, now {_told(now)}"
    elif saved != wanted:
        yield f"{name}: was {_told(saved)}, now {_told(wanted)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, list) for row in value)


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)
