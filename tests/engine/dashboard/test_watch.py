"""Laws of bigunet's panel on the dashboard: what its page shows, and that it harms no run."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bokeh.client import pull_session
from bokeh.document import Document
from bokeh.io.doc import curdoc
from bokeh.models import Select
from distributed import Client, Scheduler

from bigunet import SegmentOptions, segment
from bigunet.blocks import BlockGrid
from bigunet.engine.dashboard.watch import Watch
from bigunet.engine.stage import Stage
from bigunet.events import BlockDone, Event, StageBegun
from bigunet.geometry import Box

OPTIONS = SegmentOptions(block_shape=(64, 64))
# Two planes of 4 by 3 blocks, of 64 voxels.
SHAPE, BLOCKS = (2, 200, 140), 24


@pytest.fixture
def image(tmp_path: Path, write_image: Any) -> Path:
    write_image(tmp_path / "in.zarr", "tyx", shape=SHAPE, chunks=(1, 64, 64))
    return tmp_path / "in.zarr"


class Page:
    """A page as a browser has it: the document of a session of the server, over a websocket."""

    def __init__(self, address: str) -> None:
        self._address = address
        with contextlib.closing(pull_session(url=address)) as session:
            self._id = session.id

    @property
    def document(self) -> Document:
        """As it is now."""
        with contextlib.closing(pull_session(self._id, url=self._address)) as session:
            return session.document

    def choose(self, run: str) -> None:
        with contextlib.closing(pull_session(self._id, url=self._address)) as session:
            session.document.get_model_by_name("runs").value = run
            session.force_roundtrip()

    @property
    def words(self) -> str:
        return str(self.document.get_model_by_name("words").text)

    @property
    def cells(self) -> dict[str, list[float]]:
        return dict(self.document.get_model_by_name("cells").data)

    @property
    def choice(self) -> Select:
        return self.document.get_model_by_name("runs")


def text_of(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return str(answer.read().decode())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def traces(dask_scheduler: Scheduler) -> tuple[int, list[str], list[str]]:
    """What the panel adds to a scheduler: pages, plugins, operations."""
    return (
        len(dask_scheduler.http_application.applications),
        [name for name in dask_scheduler.plugins if "bigunet" in name],
        [name for name in dask_scheduler.handlers if "bigunet" in name],
    )


GRID = BlockGrid(Box((0, 0), (20, 20)), (10, 10))
STAGE = Stage("segment", 4, lambda: iter(()), lambda index: 0, dict, GRID, ("y", "x"))


def see_a_block(watch: Watch, number: int = 0) -> None:
    """Begin the stage, and do one of its blocks."""
    watch.see(StageBegun("segment", 0, 4), STAGE, ())
    result = {"voxels": 100, "compute_seconds": 0.1}
    watch.see(BlockDone("segment", (number // 2, number % 2), result, 1, 4), STAGE, ())


def test_the_page_maps_the_blocks_that_are_done_while_it_runs(
    client: Client, image: Path, tmp_path: Path, tiny_model: Path
) -> None:
    before = client.run_on_scheduler(traces)
    panel, checked = "", False

    def look(event: Event) -> None:
        nonlocal panel, checked
        if isinstance(event, StageBegun):
            panel = event.panel
            assert panel == event.dashboard.replace("/status", "/bigunet")
        elif event.num_done == 7 and event.stage == "segment":
            checked = True
            assert "<title>bigunet</title>" in text_of(panel)
            page = Page(panel)
            until(lambda: f"7 of {BLOCKS} blocks" in page.words)
            check(page)

    def check(page: Page) -> None:
        cells = page.cells
        assert sum(cells["share"]) * 2 == 7
        assert set(cells["share"]) <= {0, 0.5, 1}
        assert sorted(set(zip(cells["left"], cells["right"]))) == [(0, 64), (64, 128), (128, 140)]
        assert sorted(set(zip(cells["top"], cells["bottom"])))[-1] == (192, 200)
        labels = {axis.axis_label for axis in page.document.get_model_by_name("map").axis}
        assert labels == {"y (voxels)", "x (voxels)"}
        assert " left</p>" in page.words

    output = tmp_path / "out.zarr"
    segment(image, output, model=tiny_model, options=OPTIONS, client=client, on_event=look)
    assert checked
    assert client.run_on_scheduler(traces) == before
    with pytest.raises(urllib.error.HTTPError, match="404"):
        text_of(panel)
    assert "Dask" in text_of(panel.replace("/bigunet", "/status"))


def test_a_page_that_is_open_tells_the_end(client: Client) -> None:
    with Watch(client, "out") as watch:
        watch.see(StageBegun("segment", 0, 4), STAGE, ())
        page = Page(watch.panel)
        until(lambda: "0 of 4 blocks" in page.words)
        assert "ended" not in page.words
        watch.see(BlockDone("segment", (0, 0), {}, 1, 4), STAGE, ())
        client.run_on_scheduler(keep_documents)
    (document,) = KEPT
    words = document.get_model_by_name("words")
    until(lambda: "1 of 4 blocks" in words.text and "the run has ended" in words.text)
    assert document.get_model_by_name("cells").data["share"] == [1, 0, 0, 0]


KEPT: list[Document] = []


def keep_documents(dask_scheduler: Scheduler) -> None:
    """Of the pages that are open, on a scheduler in this process."""
    (context,) = dask_scheduler.plugins["bigunet-panel"]._pages.applications.values()
    KEPT[:] = [session.document for session in context.sessions]


def test_a_page_that_was_closed_long_ago_harms_nobody(client: Client) -> None:
    def destroy(dask_scheduler: Scheduler) -> None:
        (context,) = dask_scheduler.plugins["bigunet-panel"]._pages.applications.values()
        for session in context.sessions:
            # As Bokeh does some time after a browser has gone.
            for callback in session.document.session_destroyed_callbacks:
                callback(session.document.session_context)
            session.destroy()

    with Watch(client, "out") as watch:
        Page(watch.panel)
        see_a_block(watch)
        client.run_on_scheduler(destroy)
    # Dask draws its performance reports with this one.
    assert curdoc().callbacks.js_event_callbacks is not None


def test_runs_of_one_scheduler_share_a_page_until_the_last_has_ended(client: Client) -> None:
    with Watch(client, "late") as late:
        with Watch(client, "<early>") as early:
            assert early.panel == late.panel
            see_a_block(early)
            until(lambda: len(states(client)) == 1)
            see_a_block(late, 3)
            until(lambda: len(states(client)) == 2)
            page = Page(late.panel)
            assert [label for _, label in page.choice.options] == ["<early>", "late"]
            assert page.choice.visible
            assert page.cells["share"] == [0, 0, 0, 1]
            page.choose(page.choice.options[0][0])
            until(lambda: "&lt;early&gt;" in page.words)
            assert page.cells["share"] == [1, 0, 0, 0]
        until(lambda: "late" in page.words and not page.choice.visible)
    assert client.run_on_scheduler(traces)[1:] == ([], [])


def states(client: Client) -> dict[str, Any]:
    return dict(
        client.run_on_scheduler(
            lambda dask_scheduler: dask_scheduler.plugins["bigunet-panel"].states
        )
    )


def test_a_client_that_leaves_takes_its_runs_along(client: Client) -> None:
    with Client(client.scheduler.address, set_as_default=False) as other:
        Watch(other, "out").__enter__()
        assert client.run_on_scheduler(traces)[1] == ["bigunet-panel"]
    until(lambda: client.run_on_scheduler(traces)[1:] == ([], []))


def test_metrics_tell_the_run_while_it_lasts(client: Client) -> None:
    metrics = client.dashboard_link.replace("/status", "/metrics")
    with Watch(client, "out") as watch:
        see_a_block(watch)
        labels = '{output="out",stage="segment"}'
        until(lambda: f"bigunet_blocks_total{labels} 1.0" in text_of(metrics))
        page_text = text_of(metrics)
        assert f"bigunet_blocks_left{labels} 3.0" in page_text
        assert f"bigunet_voxels_total{labels} 100.0" in page_text
        assert f"bigunet_compute_seconds_total{labels} 0.1" in page_text
        assert "dask_scheduler_workers" in page_text
    assert "bigunet" not in text_of(metrics)


def test_without_a_dashboard_there_is_no_panel(tmp_path: Path) -> None:
    with (
        Client(processes=False, n_workers=1, dashboard_address=None, set_as_default=False) as bare,
        Watch(bare, "out") as watch,
    ):
        begun = StageBegun("segment", 0, 4)
        assert watch.see(begun, STAGE, ()) is begun
        assert watch.panel == ""


@pytest.mark.parametrize("lacking", ["bokeh.server.tornado", "bigunet.engine.dashboard.panel"])
def test_a_scheduler_that_lacks_what_the_panel_needs_only_has_none(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lacking: str,
) -> None:
    monkeypatch.setitem(sys.modules, lacking, None)
    before = client.run_on_scheduler(traces)
    with caplog.at_level(logging.DEBUG, "bigunet"), Watch(client, "out") as watch:
        assert watch.panel == ""
        see_a_block(watch)
    assert f"no panel on the dashboard: ModuleNotFoundError: import of {lacking}" in caplog.text
    assert client.run_on_scheduler(traces) == before


def test_a_panel_that_breaks_breaks_no_run(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def sabotage(dask_scheduler: Scheduler) -> None:
        dask_scheduler.plugins["bigunet-panel"].post = None
        dask_scheduler.handlers["bigunet_progress"] = lambda run, state: 1 / 0

    with caplog.at_level(logging.DEBUG, "bigunet"), Watch(client, "out") as watch:
        client.run_on_scheduler(sabotage)
        see_a_block(watch)
        until(lambda: "the panel on the dashboard is lost" in caplog.text)
        # Off the grid: nothing that a stage does, but whatever fails is kept from the run.
        watch.see(BlockDone("segment", (99, 99), {}, 2, 4), STAGE, ())
    assert caplog.text.count("the panel on the dashboard failed") == 2
    client.run_on_scheduler(clean)


def clean(dask_scheduler: Scheduler) -> None:
    host = dask_scheduler.plugins["bigunet-panel"]
    host._forget(list(host.clients))
