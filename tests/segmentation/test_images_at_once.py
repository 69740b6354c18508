"""Laws of images at once on the same workers: the same bytes, order, names, and one end for all."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zarr
from distributed import Client, LocalCluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.stored import contents

import bigunet
from bigunet import SegmentOptions
from bigunet.errors import ImageError, StoppedError
from bigunet.events import BlockDone, Event, Notice, RunsDone, StageBegun
from bigunet.segmentation import series
from bigunet.segmentation.series_events import SeriesEvents

OPTIONS = SegmentOptions(block_shape=(32, 32), outputs=("classes", "probabilities"))
NAMES = [f"{number}.zarr" for number in range(4)]


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def images(tmp_path: Path, write_image: Any) -> Path:
    for number, name in enumerate(NAMES):
        write_image(tmp_path / "images" / name, shape=(40, 40 + 30 * (number % 2)))
    return tmp_path / "images"


@pytest.fixture
def alone(images: Path, tmp_path: Path, tiny_model: Path, client: Client) -> dict[str, bytes]:
    """What each image gives by itself."""
    for name in NAMES:
        target = tmp_path / "alone" / name
        bigunet.segment(images / name, target, model=tiny_model, client=client, options=OPTIONS)
    return contents(tmp_path / "alone")


@pytest.mark.slow
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(enough=st.integers(1, 30), workers=st.integers(1, 2), stop_after=st.integers(0, 15))
def test_bytes_are_those_of_each_image_alone_for_any_number_at_once_and_any_stop(
    enough: int, workers: int, stop_after: int, images: Path, tmp_path: Path,
    alone: dict[str, bytes], tiny_model: Path, client: Client, two_workers: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    out, stop, num_blocks = tmp_path_factory.mktemp("out"), threading.Event(), itertools.count()

    def stop_some_time(event: Event) -> None:
        if isinstance(event, BlockDone) and next(num_blocks) == stop_after:
            stop.set()

    given: dict[str, Any] = {"model": tiny_model, "options": OPTIONS, "existing": "resume"}
    given["client"] = two_workers if workers == 2 else client
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "blocks_enough", lambda client: enough)
        try:
            done = dict(
                bigunet.segment_images(images, out, **given, stop=stop, on_event=stop_some_time)
            )
        except StoppedError:
            done = dict(bigunet.segment_images(images, out, **given))
    assert list(done) == [str(images / name) for name in NAMES]
    assert all(report.finished for report in done.values())
    assert contents(out) == alone


def test_events_of_several_threads_come_one_at_a_time() -> None:
    entered = threading.Lock()
    seen: list[tuple[str, bool]] = []

    def keep(event: Event) -> None:
        seen.append((event.run, entered.acquire(blocking=False)))
        time.sleep(0.001)
        if seen[-1][1]:
            entered.release()

    events = SeriesEvents("image", 4, keep)

    def send(run: str) -> None:
        for number in range(10):
            events.of(run, lambda left: None)(StageBegun("segment", number, 10))
        events.end(run)

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted([("", True), *[(name, True) for name in "abcd"] * 11])


def test_events_have_the_name_of_their_image_and_count_those_that_ended(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client, write_image: Any
) -> None:
    # The model reads one channel.
    write_image(images / NAMES[1], "cyx", shape=(2, 40, 51))
    events: list[Event] = []
    done = dict(
        bigunet.segment_images(
            images,
            tmp_path / "out",
            model=tiny_model,
            client=client,
            options=OPTIONS,
            on_event=lambda event: events.append(event),
        )
    )
    paths = [str(images / name) for name in NAMES]
    assert [isinstance(outcome, bigunet.BigUNetError) for outcome in done.values()] == [
        False, True, False, False,
    ]  # fmt: skip
    counts = [event for event in events if isinstance(event, RunsDone)]
    assert [event.num_done for event in counts] == list(range(5))
    assert (counts[0].run, sorted(event.run for event in counts[1:])) == ("", paths)
    for path in {*paths} - {paths[1]}:
        blocks = [e for e in events if isinstance(e, BlockDone | StageBegun) and e.run == path]
        assert isinstance(blocks[0], StageBegun)
        segment = [e.num_done for e in blocks if e.stage == "segment"]
        assert segment == list(range(blocks[0].num_blocks + 1))
    # Several images were at work at a time.
    order = [event.run for event in events if isinstance(event, StageBegun | RunsDone)]
    assert len([*itertools.groupby(order)]) > 1 + len({*order})


def test_all_images_at_work_stop_together_and_all_of_them_go_on(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    stop, begun = threading.Event(), set()

    def when_two_are_at_work(event: Event) -> None:
        if isinstance(event, StageBegun):
            begun.add(event.run)
        if len(begun) == 2:
            stop.set()

    given: dict[str, Any] = {"model": tiny_model, "client": client}
    given["options"] = SegmentOptions(block_shape=(16, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "blocks_enough", lambda client: 1000)
        with pytest.raises(StoppedError, match="stopped as asked: 0 of 4 images are done"):
            dict(
                bigunet.segment_images(
                    images, tmp_path / "out", **given, stop=stop, on_event=when_two_are_at_work
                )
            )
    again = dict(bigunet.segment_images(images, tmp_path / "out", **given, existing="resume"))
    assert all(report.finished for report in again.values())


def test_an_interrupt_of_the_caller_ends_all_images_and_leaves_no_lock(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    def interrupted(event: Event) -> None:
        if isinstance(event, BlockDone) and event.run.endswith(NAMES[2]):
            raise KeyboardInterrupt

    given: dict[str, Any] = {"model": tiny_model, "client": client}
    given["options"] = SegmentOptions(block_shape=(16, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "blocks_enough", lambda client: 1000)
        with pytest.raises(KeyboardInterrupt):
            dict(bigunet.segment_images(images, tmp_path / "out", **given, on_event=interrupted))
    again = dict(bigunet.segment_images(images, tmp_path / "out", **given, existing="resume"))
    assert all(report.finished for report in again.values())
    left = [report.plan.grid.num_blocks - report.blocks_done for report in again.values()]
    assert left[2] > 0


def test_a_warning_has_the_name_of_its_image_in_the_log_too(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client, caplog: Any
) -> None:
    flat = zarr.open_group(images / NAMES[3])["0"]
    flat[...] = 7
    given: dict[str, Any] = {"model": tiny_model, "client": client}
    notices: list[Event] = []
    dict(
        bigunet.segment_images(
            images, tmp_path / "1", **given, on_event=lambda event: notices.append(event)
        )
    )
    warned = [event for event in notices if isinstance(event, Notice)]
    assert {event.run for event in warned} == {str(images / NAMES[3])}
    dict(bigunet.segment_images(images, tmp_path / "2", **given))
    text = warned[0].text.removeprefix("Warning: ")
    assert f"image {images / NAMES[3]}: {text}" in caplog.messages


def test_an_unreadable_image_does_not_keep_others_from_their_turn(
    images: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    plate = zarr.open_group(tmp_path / "plate.zarr", mode="w", zarr_format=2)
    plate.attrs["plate"] = {"wells": [{"path": "A/1"}]}
    plate.require_group("A/1").attrs["well"] = {"images": [{"path": n[0]} for n in NAMES]}
    for name in NAMES:
        (images / name).rename(tmp_path / "plate.zarr/A/1" / name[0])
    (tmp_path / "plate.zarr/A/1/0/0/.zarray").unlink()
    done = dict(bigunet.segment_fields(tmp_path / "plate.zarr", model=tiny_model, client=client))
    assert [isinstance(outcome, ImageError) for outcome in done.values()] == [True, *[False] * 3]
