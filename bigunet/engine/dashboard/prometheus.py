"""Adds runs to the scheduler's ``/metrics``. It needs prometheus_client, which may be missing."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bigunet.engine.dashboard.stage_progress import State

logger = logging.getLogger(__name__)

Labels = tuple[str, str]
_LABELS = ("output", "stage")
_COUNTERS = {
    "blocks": "Blocks that running stages have done",
    "voxels": "Voxels of the blocks done",
    "compute_seconds": "Time in which devices computed, all workers together",
}


class _Runs(Collector):
    def __init__(self, states: Mapping[str, State]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        # Parts of a run have the same labels, and each pair of labels may occur only once.
        left: Counter[Labels] = Counter()
        totals: dict[str, Counter[Labels]] = {name: Counter() for name in _COUNTERS}
        for state in self._states.values():
            for stage, sums in state.get("totals", {}).items():
                for name in _COUNTERS:
                    totals[name][state["output"], stage] += sums[name]
            if state["stage"]:
                blocks_left = state["num_blocks"] - state["num_done"]
                left[state["output"], state["stage"]] += blocks_left
        gauge = GaugeMetricFamily("bigunet_blocks_left", "Blocks still to do", labels=_LABELS)
        yield _filled(gauge, left)
        for name, explained in _COUNTERS.items():
            counter = CounterMetricFamily(f"bigunet_{name}", explained, labels=_LABELS)
            yield _filled(counter, totals[name])


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[Labels, float]
) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def serve(states: Mapping[str, State]) -> Callable[[], None]:
    """Add the states of runs to ``/metrics``; return a function that removes them."""
    runs = _Runs(states)
    try:
        REGISTRY.register(runs)
    except ValueError:
        # Another scheduler of this process has added its runs.
        logger.debug("no metrics", exc_info=True)
        return lambda: None
    return lambda: REGISTRY.unregister(runs)
