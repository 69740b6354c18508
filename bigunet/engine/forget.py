"""Lets scheduler and workers forget tasks that are done, of which Dask keeps some memory for ever.

Measured with 10,000 blocks, per block: 0.2 kB on the scheduler in the submissions of Dask's spans,
and 0.2 kB on scheduler and workers in the cache of split names, which ends at 100,000 names.
"""

from __future__ import annotations

import contextlib
from typing import Any

from dask.utils import key_split
from distributed import Client

_MOST_NAMES = 1000


def forget_done_tasks(client: Client) -> None:
    """Free the scheduler's memory of submissions, also of other clients.

    Tasks are not touched. Dask does not say which client an entry of a span belongs to. The
    removed entries are all the same and name no task. The removed ids only keep Dask from adding
    an entry twice.
    """
    # No result depends on this: another release of Dask may have no spans, or different ones.
    with contextlib.suppress(Exception):
        client.run_on_scheduler(_forget)


def forget_split_names() -> None:
    """Free this worker's cache of task names, if it is large."""
    if key_split.cache_info().currsize > _MOST_NAMES:
        key_split.cache_clear()


def _forget(dask_scheduler: Any) -> None:
    forget_split_names()
    spans = dask_scheduler.extensions["spans"].spans.values()
    for span in spans:
        if span.metadata:
            entries = span.metadata["collections"]
            # Every single task adds this entry, which has no information.
            entries[:] = [entry for entry in entries if entry != {"type": "Future"}]
    for span in spans:
        # All spans share this set of ids of former submissions.
        span._metadata_seen.clear()
        break
