"""Predictions of tiles seen before: bare glass, padding and absent chunks come again and again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bigunet.model.inference.forward import Pending, Prediction, Predictor

_LIMIT_BYTES = 64_000_000


class Awaited(Protocol):
    """A prediction that was asked for."""

    @property
    def seconds(self) -> float:
        """In which the device computed for it; once there is a result."""
        ...

    def wait(self) -> None:
        """Wait until the device uses none of the tile's memory."""
        ...

    def result(self) -> Prediction:
        """The prediction, which must not be written to."""
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """A prediction that was there already."""

    prediction: Prediction
    seconds: float = 0.0

    def wait(self) -> None:
        """See :class:`Awaited`."""

    def result(self) -> Prediction:
        """See :class:`Awaited`."""
        return self.prediction


@dataclass(frozen=True, slots=True)
class _Kept:
    """A prediction under way, kept when it is there."""

    pending: Pending
    keep: Callable[[Prediction], None]

    @property
    def seconds(self) -> float:
        return self.pending.seconds

    def wait(self) -> None:
        self.pending.wait()

    def result(self) -> Prediction:
        found = self.pending.result()
        self.keep(found)
        return found


class RecallingPredictor:
    """Predicts like the predictor it holds, but no tile of the same voxels twice.

    Exact, since equal tiles give equal predictions. Those under way at the same time are computed
    each. Not for several threads at a time.

    Parameters
    ----------
    predictor : Predictor
    limit_bytes : int
        Of predictions kept; the ones longest out of use are dropped.
    """

    def __init__(self, predictor: Predictor, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.predictor = predictor
        self.num_computed = 0
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[bytes, Prediction] = OrderedDict()
        self._kept_bytes = 0

    @property
    def depth(self) -> int:
        """See :attr:`Predictor.depth`."""
        return self.predictor.depth

    def begin(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Awaited:
        """See :meth:`Predictor.begin`."""
        tile = np.ascontiguousarray(tile)
        # Hashing takes a few milliseconds where the network takes hundreds.
        told = f"{tile.shape} {tile.dtype} {tuple(inner)} {probabilities}"
        digest = hashlib.blake2b(told.encode(), digest_size=16)
        digest.update(tile.data)
        key = digest.digest()
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return Recalled(found)
        pending = self.predictor.begin(tile, inner, probabilities=probabilities)
        self.num_computed += 1
        return _Kept(pending, lambda prediction: self._keep(key, prediction))

    def _keep(self, key: bytes, prediction: Prediction) -> None:
        if key in self._kept:
            return
        self._kept[key] = prediction
        self._kept_bytes += prediction.nbytes
        while self._kept_bytes > self._limit_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= dropped.nbytes
