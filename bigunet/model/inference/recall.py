"""Predictions of equal tiles, computed once: empty glass, padding and absent chunks recur often."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from cachetools import LRUCache

from bigunet.model.inference.forward import Pending, Prediction, Predictor

_LIMIT_BYTES = 64_000_000

_Key = tuple[object, ...]


class Awaited(Protocol):
    """A prediction that may still be computed."""

    @property
    def seconds(self) -> float:
        """Time in which the device computed for it; valid once there is a result."""
        ...

    def wait(self) -> None:
        """Wait until the device uses none of the tile's memory."""
        ...

    def result(self) -> Prediction:
        """The prediction, which must not be changed."""
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """A prediction from the cache."""

    prediction: Prediction
    seconds: float = 0.0

    def wait(self) -> None:
        """See :class:`Awaited`."""

    def result(self) -> Prediction:
        """See :class:`Awaited`."""
        return self.prediction


@dataclass(frozen=True, slots=True)
class _Kept:
    """A prediction under way that goes into the cache as soon as there is a result."""

    pending: Pending
    keep: Callable[[Prediction], None]

    @property
    def seconds(self) -> float:
        return self.pending.seconds

    def wait(self) -> None:
        self.pending.wait()

    def result(self) -> Prediction:
        prediction = self.pending.result()
        self.keep(prediction)
        return prediction


class RecallingPredictor:
    """Predicts as the predictor inside it, but computes equal tiles only once.

    This is exact, because equal tiles have equal predictions. Equal tiles that are under way at
    the same time are each computed. Only one thread at a time may use it.

    Parameters
    ----------
    predictor : Predictor
    limit_bytes : int
        Bytes of the predictions in the cache; the least recently used ones are dropped.
    """

    def __init__(self, predictor: Predictor, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.predictor = predictor
        self.num_computed = 0
        self._cache: LRUCache[_Key, Prediction] = LRUCache(
            limit_bytes, getsizeof=lambda prediction: prediction.nbytes
        )

    @property
    def depth(self) -> int:
        """See :attr:`Predictor.depth`."""
        return self.predictor.depth

    def begin(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Awaited:
        """See :meth:`Predictor.begin`."""
        tile = np.ascontiguousarray(tile)
        key = _key(tile, inner, probabilities=probabilities)
        if (prediction := self._cache.get(key)) is not None:
            return Recalled(prediction)
        pending = self.predictor.begin(tile, inner, probabilities=probabilities)
        self.num_computed += 1
        return _Kept(pending, lambda prediction: self._keep(key, prediction))

    def _keep(self, key: _Key, prediction: Prediction) -> None:
        # The cache refuses a prediction that is larger than its limit.
        if key not in self._cache and prediction.nbytes <= self._cache.maxsize:
            self._cache[key] = prediction


def _key(tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool) -> _Key:
    """What equal tasks have in common: 96 bits stand for the voxels.

    Both sums together take a third of the time of a cryptographic one.
    """
    task = (tile.shape, tile.dtype.str, tuple((s.start, s.stop) for s in inner), probabilities)
    return (*task, zlib.crc32(tile.data), hash(tile.tobytes()))
