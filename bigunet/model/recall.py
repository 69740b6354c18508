"""Predictions of tiles seen before: bare glass, padding and absent chunks come again and again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from bigunet.model.forward import Prediction, Predictor

_LIMIT_BYTES = 64_000_000


class RecallingPredictor:
    """Predicts like the predictor it holds, but no tile of the same voxels twice.

    Exact, since equal tiles give equal predictions. Not for several threads at a time.

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

    def predict(
        self, tile: np.ndarray, inner: Sequence[slice], *, probabilities: bool = False
    ) -> Prediction:
        """See :meth:`Predictor.predict`; what it gives must not be written to."""
        tile = np.ascontiguousarray(tile)
        # Hashing takes a few milliseconds where the network takes hundreds.
        told = f"{tile.shape} {tile.dtype} {tuple(inner)} {probabilities}"
        digest = hashlib.blake2b(told.encode(), digest_size=16)
        digest.update(tile.data)
        key = digest.digest()
        found = self._kept.get(key)
        if found is None:
            found = self.predictor.predict(tile, inner, probabilities=probabilities)
            self.num_computed += 1
            self._keep(key, found)
        else:
            self._kept.move_to_end(key)
        return found

    def _keep(self, key: bytes, prediction: Prediction) -> None:
        self._kept[key] = prediction
        self._kept_bytes += prediction.nbytes
        while self._kept_bytes > self._limit_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= dropped.nbytes
