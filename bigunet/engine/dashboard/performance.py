"""Dask's performance report of a run: a page that shows what each worker did at which time."""

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

# The report needs the profiles of workers. If workers are gone, it must not wait for long.
_REPORT_SECONDS = 60


def check_report(path: str | Path | None) -> None:
    """Raise if a report cannot be written to ``path``; None is for no report. No file changes.

    Raises
    ------
    OutputError
        If the report cannot be written.
    """
    if path is None:
        return
    existed = Path(path).exists()
    try:
        with open(path, "ab"):
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
    """Write one HTML page on what the client's workers do meanwhile.

    The page is also written after an error or an interrupt, if that is possible.

    Parameters
    ----------
    client : distributed.Client
    path : path, optional
        File to write; None writes nothing.
    about : str
        A description of the run, for the page.
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
            Path(path).write_text(page, "utf-8")
        except Exception as error:
            # The run must not fail because of its report.
            reason = str(error) or type(error).__name__
            logger.error("cannot write the performance report %s: %s", path, reason)


def _counts(dask_scheduler: Any) -> tuple[int, int]:
    """Numbers of the samples and of the tasks that a scheduler has seen so far.

    The scheduler records its tasks from this call on.
    """
    return dask_scheduler.monitor.count, dask_scheduler.get_task_stream_index()


async def _page(
    began: float, num_samples: int, num_tasks: int, about: str, *, dask_scheduler: Any
) -> str:
    """A scheduler's report of the tasks after the first ``num_tasks``.

    The scheduler itself selects tasks by the time of their end. If a worker's clock differs from
    the client's, the report would lack tasks or have earlier ones.
    """
    _forget_closed_pages()
    # An "inline" page needs no internet.
    page = await type(dask_scheduler).performance_report(
        _SchedulerSince(dask_scheduler, num_tasks),
        start=began,
        last_count=num_samples,
        code=about,
        mode="inline",
    )
    return str(page)


class _SchedulerSince:
    """A scheduler that shows only the tasks after the first ``num_tasks``."""

    def __init__(self, scheduler: Any, num_tasks: int) -> None:
        self._scheduler = scheduler
        self._num_tasks = num_tasks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler, name)

    def get_task_stream(self, start: float) -> Any:
        return self._scheduler.get_task_stream(start_index=self._num_tasks)


def _forget_closed_pages() -> None:
    """Let Bokeh forget documents of pages that are closed.

    Bokeh draws every page of a process beside the last document that it got. It fails if that
    document is destroyed, such as after a dashboard that ended with a browser at it.
    """
    from bokeh.io import doc

    references = getattr(doc, "_PATCHED_CURDOCS", [])
    # From Bokeh 3.10 on each task has a list of its own, which its documents leave by themselves.
    if isinstance(references, list):
        references[:] = [reference for reference in references if _is_open(reference())]


def _is_open(document: Any) -> bool:
    return document is not None and hasattr(document.callbacks, "_js_event_callbacks")
