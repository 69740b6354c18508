"""Dask's performance report of a run: a page of what each worker did when."""

from __future__ import annotations

import contextlib
import html
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import Client

from bigunet.errors import OutputError

logger = logging.getLogger(__name__)

# Workers are asked for their profiles; where they are gone nobody should wait for long.
_REPORT_SECONDS = 60


def check_report(path: str | Path | None) -> None:
    """See that a report can be written, if one is wanted; changes nothing.

    Raises
    ------
    OutputError
        If it cannot.
    """
    if path is None:
        return
    existed = Path(path).exists()
    try:
        with open(path, "a"):
            pass
        if not existed:
            Path(path).unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write the performance report {path}: {error.strerror}; choose a path that can "
            "be written"
        ) from error


@contextlib.contextmanager
def performance_report(client: Client, path: str | Path | None, about: str) -> Iterator[None]:
    """Write what the client's workers did meanwhile as one HTML page; nothing without a path.

    It is written after an error or an interrupt, too, if it can be.

    Parameters
    ----------
    about : str
        What was run, told on the page.
    """
    if path is None:
        yield
        return
    began = time.time()
    num_samples, num_tasks = client.run_on_scheduler(_counts)
    try:
        yield
    finally:
        try:
            page = client.run_on_scheduler(
                _page,
                began,
                num_samples,
                num_tasks,
                html.escape(about),
                callback_timeout=_REPORT_SECONDS,
            )
            Path(path).write_text(page)
        except Exception as error:
            # The segmentation is what counts.
            told = str(error) or type(error).__name__
            logger.error("cannot write the performance report %s: %s", path, told)


def _counts(dask_scheduler: Any) -> tuple[int, int]:
    """How many samples of itself and how many tasks a scheduler has seen so far.

    From this call on the scheduler records its tasks.
    """
    return dask_scheduler.monitor.count, dask_scheduler.get_task_stream_index()


async def _page(
    began: float, num_samples: int, num_tasks: int, about: str, *, dask_scheduler: Any
) -> str:
    """The report of the tasks after a number of them, by a scheduler.

    The scheduler itself selects tasks by the time of their end. That loses some, or adds earlier
    ones, where a worker's clock differs from the client's.
    """
    _forget_closed_pages()
    select_tasks = dask_scheduler.get_task_stream
    dask_scheduler.get_task_stream = lambda start: select_tasks(start_index=num_tasks)
    try:
        # "inline" is readable without the internet.
        page = await dask_scheduler.performance_report(
            start=began, last_count=num_samples, code=about, mode="inline"
        )
    finally:
        del dask_scheduler.get_task_stream
    return str(page)


def _forget_closed_pages() -> None:
    """Let Bokeh forget documents of pages that were closed while they were made.

    Bokeh draws every page of a process beside the last document that it was given, and cannot once
    that one is destroyed: after a dashboard that ended with a browser at it, say.
    """
    from bokeh.io import doc

    given = getattr(doc, "_PATCHED_CURDOCS", [])
    given[:] = [reference for reference in given if _is_open(reference())]


def _is_open(document: Any) -> bool:
    return document is not None and hasattr(document.callbacks, "_js_event_callbacks")
