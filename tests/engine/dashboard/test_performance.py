"""Laws of the performance report: it is written whatever happens, and harms no run."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import urllib.request
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bokeh.document import Document
from bokeh.io import doc
from distributed import Client

from bigunet.engine.dashboard.performance import check_report, performance_report
from bigunet.errors import OutputError


def segment_block(number: int) -> int:
    return number


def work(client: Client, count: int = 3) -> None:
    keys = [f"segment-{number}" for number in range(count)]
    client.gather(client.map(segment_block, range(count), key=keys, pure=False))


def test_the_report_has_the_tasks_of_meanwhile_and_needs_no_internet(
    client: Client, tmp_path: Path
) -> None:
    work(client, 5)
    path = tmp_path / "report.html"
    with performance_report(client, path, "<in> to out"):
        work(client)
    page = path.read_text()
    assert "Task Stream" in page
    assert "number of tasks: 3 " in page
    assert "segment" in page
    assert "&amp;lt;in&amp;gt; to out" in page
    assert not re.search(r"<script[^>]* src=|<link [^>]*stylesheet", page)


def test_it_is_written_after_a_failure_too(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "report.html"

    def interrupted() -> None:
        with performance_report(client, path, "a run"):
            work(client)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "number of tasks: 3 " in path.read_text()


@pytest.mark.parametrize("seconds", [-100, 100])
def test_it_has_the_same_tasks_whatever_the_clock_of_a_worker_shows(
    client: Client, tmp_path: Path, seconds: int
) -> None:
    work(client, 5)
    path = tmp_path / "report.html"
    with performance_report(client, path, "a run"):
        # A worker measures this at each heartbeat, wrongly where either side is busy.
        client.run(lambda dask_worker: setattr(dask_worker, "scheduler_delay", seconds))
        work(client)
    assert "number of tasks: 3 " in path.read_text()


def test_runs_that_end_at_the_same_time_each_have_their_report(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    together = threading.Barrier(3)

    def run(number: int) -> str:
        path = tmp_path / f"{number}.html"
        with performance_report(client, path, "a run"):
            together.wait(timeout=20)
        return path.read_text()

    with caplog.at_level(logging.ERROR), ThreadPoolExecutor(3) as pool:
        pages = list(pool.map(run, range(3)))
    assert all("number of tasks: 0 " in page for page in pages)
    assert not [r for r in caplog.records if r.name.startswith("bigunet")]


def test_it_is_written_though_the_dashboard_was_looked_at(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with performance_report(client, path, "a run"):
        urllib.request.urlopen(client.dashboard_link, timeout=20).close()
    assert path.exists()


def test_a_report_that_cannot_be_written_at_the_end_is_logged_and_no_error(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with caplog.at_level(logging.ERROR), performance_report(client, folder / "a.html", "a run"):
        shutil.rmtree(folder)
    (line,) = [r.getMessage() for r in caplog.records if r.name.startswith("bigunet")]
    assert line.startswith(f"cannot write the performance report {folder / 'a.html'}: ")


def test_the_check_of_a_path_changes_no_file(tmp_path: Path) -> None:
    check_report(None)
    check_report(tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
    (tmp_path / "kept.html").write_text("an earlier one")
    check_report(tmp_path / "kept.html")
    assert (tmp_path / "kept.html").read_text() == "an earlier one"
    for path in (tmp_path, tmp_path / "missing" / "report.html"):
        with pytest.raises(OutputError, match=r"cannot write the performance report .*; choose"):
            check_report(path)


@pytest.mark.skipif(
    not isinstance(doc._PATCHED_CURDOCS, list), reason="from Bokeh 3.10 on, there is no such state"
)
def test_it_is_written_after_a_page_that_was_closed_while_it_was_made(
    client: Client, tmp_path: Path
) -> None:
    closed = Document()
    closed.callbacks.destroy()
    path = tmp_path / "report.html"
    # A page leaves this state if its event loop ends while the page is made.
    doc._PATCHED_CURDOCS.append(weakref.ref(closed))
    with performance_report(client, path, "a run"):
        work(client)
    assert path.exists()
    assert not doc._PATCHED_CURDOCS
