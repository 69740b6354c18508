"""What each thread did in each short time of a run, from the times of its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigunet.report.timeline import STATES
from bigunet.segmentation.page.block_times import PIECES, BlockTimes

TIMES = 140
# A pause is left out if it is longer than this, and than a quarter of the time at work.
_LONG_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WorkShares:
    """What the threads did.

    Parameters
    ----------
    shares : ndarray of float, (row, state, time)
        Share of each short time in each state, 0 to 1.
    state_seconds : ndarray of float, (row, state)
        Exact sums.
    seconds : float
        From the first to the last moment at work, without pauses.
    pauses : tuple of (float, float)
        Where a pause was left out, in seconds of work since the begin, and how long it was.
    """

    shares: np.ndarray
    state_seconds: np.ndarray
    seconds: float
    pauses: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, times: BlockTimes) -> WorkShares:
        """Sum the times up; there is at least one block."""
        rows, begun, pieces = times.arrays()
        starts, stops = without_pauses(begun, begun + pieces.sum(axis=1))
        edges = begun[:, np.newaxis] + np.pad(np.cumsum(pieces, axis=1), ((0, 0), (1, 0)))
        worked = np.concatenate(([0.0], np.cumsum(stops - starts)))
        along = np.stack((starts, stops), axis=1).ravel()
        heights = np.stack((worked[:-1], worked[1:]), axis=1).ravel()
        places = np.interp(edges, along, heights)
        seconds = max(float(worked[-1]), 1e-6)
        num_rows = len(times.threads)
        shares = np.zeros((num_rows, len(STATES), TIMES))
        sums = np.zeros((num_rows, len(STATES)))
        for piece, state in enumerate(PIECES):
            first, last = (places[:, piece + k] * TIMES / seconds for k in (0, 1))
            shares[:, state] += _covered(rows, first, last, num_rows)
            np.add.at(sums[:, state], rows, pieces[:, piece])
        pauses = tuple(zip(worked[1:-1].tolist(), (starts[1:] - stops[:-1]).tolist()))
        # Clocks of several machines may differ, so that blocks of a thread seem to overlap.
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
        return cls(shares, sums, seconds, pauses)


def without_pauses(begun: np.ndarray, ended: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and stops of the times in which blocks were at work, with short pauses between them.

    Parameters
    ----------
    begun, ended : ndarray of float, (block,)
        Seconds.
    """
    order = np.argsort(begun, kind="stable")
    begun, latest = begun[order], np.maximum.accumulate(ended[order])
    gaps = begun[1:] - latest[:-1]
    at_work = latest[-1] - begun[0] - np.maximum(gaps, 0).sum()
    long = np.flatnonzero(gaps > max(_LONG_PAUSE_SECONDS, at_work / 4))
    starts = np.concatenate((begun[:1], begun[long + 1]))
    stops = np.concatenate((latest[long], latest[-1:]))
    return starts, stops


def _covered(rows: np.ndarray, first: np.ndarray, last: np.ndarray, num_rows: int) -> np.ndarray:
    """Share of each unit 0 to 1, 1 to 2 … that intervals cover, by row: (row, TIMES)."""
    return np.asarray(_ramps(rows, first, num_rows) - _ramps(rows, last, num_rows))


def _ramps(rows: np.ndarray, places: np.ndarray, num_rows: int) -> np.ndarray:
    """What each unit has of intervals that begin at places, and that never end."""
    unit = np.clip(np.floor(places).astype(int), 0, TIMES - 1)
    where, size = rows * TIMES + unit, num_rows * TIMES
    counts = np.bincount(where, minlength=size).reshape(num_rows, TIMES)
    rest = np.bincount(where, weights=unit + 1 - places, minlength=size).reshape(num_rows, TIMES)
    before = np.cumsum(counts, axis=1) - counts
    return np.asarray(before + rest)
