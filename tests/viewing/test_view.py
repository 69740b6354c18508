"""A served page: all that it names is served, and blocks appear as a run writes them."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import zarr
from distributed import Client

import bigunet
from bigunet.errors import OptionError, StoppedError
from bigunet.viewing import view as view_module
from bigunet.viewing.view import View


def sources(page: View) -> dict[str, list[str]]:
    """The addresses of each layer, without the words for the format."""
    listed = {}
    for layer in page.state["layers"]:
        stated = layer["source"] if isinstance(layer["source"], list) else [layer["source"]]
        listed[layer["name"]] = [one.partition("://")[2].rstrip("/") for one in stated]
    return listed


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


def segment(image: Path, target: Path, model: Path, client: Client, **more: Any) -> None:
    bigunet.segment(
        image, target, model=model, client=client, backend="torch", object_class="class 1",
        outputs=("classes", "instances", "probabilities"), block_shape=(32, 32), **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, write_image: Any) -> Path:
    path = tmp_path_factory.mktemp("view") / "in.zarr"
    write_image(path, "yx", version="0.5")
    return path


def test_blocks_appear_while_a_run_goes_on_and_the_table_at_its_end(
    image: Path, tiny_model: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, stop = image.with_name("out.zarr"), threading.Event()

    def after_a_block(event: object, *_: object) -> None:
        if type(event).__name__ == "BlockDone":
            stop.set()

    with pytest.raises(StoppedError):
        segment(image, target, tiny_model, client, stop=stop, on_event=after_a_block)
    with bigunet.view(target) as page:
        before = sources(page)
        assert list(before) == ["in", "P(background)", "P(class 1)", "P(class 2)", "classes"]
        assert page.is_running
        assert not page.refresh()
        segment(image, target, tiny_model, client, existing="resume")
        # One look is enough: the page has been quiet.
        monkeypatch.setattr(view_module, "_LOOK_SECONDS", 0.01)
        monkeypatch.setattr(view_module, "_QUIET_SECONDS", -1.0)
        end = threading.Event()
        follower = threading.Thread(target=page.follow, args=(end,))
        follower.start()
        while page.is_running:
            end.wait(0.01)
        end.set()
        follower.join()
        after = sources(page)
        assert list(after) == [*before, "instances"]
        assert after["in"] == before["in"]
        assert after["classes"] != before["classes"]
        labels, table = after["instances"]
        stored = zarr.open_group(target, mode="r")["labels/instances/0"]
        assert fetch(f"{labels}/0/c/0/0") == stored[...].astype("<u4").tobytes()
        assert json.loads(fetch(f"{table}/info"))["inline"]["ids"][0] == "1"
        assert not page.refresh()


def test_all_that_the_page_names_is_served_while_it_is_open(image: Path) -> None:
    with bigunet.view(image, position="x=3") as page:
        (address,) = sources(page)["in"]
        group = json.loads(fetch(f"{address}/zarr.json"))
        assert group["attributes"]["ome"]["version"] == "0.5"
        array = zarr.open_group(image, mode="r")["0"]
        assert fetch(f"{address}/0/c/0/0") == array[...].tobytes()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(f"{address}/0/c/5/0")
        assert b"neuroglancer" in fetch(page.url)
        assert repr(page) == f"<View: {page.url}>"
        assert page.state["position"] == [3, 45]
    with pytest.raises(urllib.error.URLError):
        fetch(page.url)


def test_a_run_that_begins_anew_is_waited_for(
    image: Path, tmp_path: Path, tiny_model: Path, client: Client
) -> None:
    target = tmp_path / "out.zarr"
    # The test before has made it.
    if not image.with_name("out.zarr").exists():
        segment(image, image.with_name("out.zarr"), tiny_model, client)
    shutil.copytree(image.with_name("out.zarr"), target)
    zarr.open_group(target, mode="a").attrs.clear()
    with bigunet.view(target) as page:
        names = list(sources(page))
        shutil.rmtree(target)
        assert not page.refresh()
        assert list(sources(page)) == names


def test_a_place_outside_is_refused_before_anything_is_served(image: Path) -> None:
    with pytest.raises(OptionError, match="position x=70"):
        bigunet.view(image, position="x=70")


def test_without_neuroglancer_one_line_says_what_to_install(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "neuroglancer.server", None)
    with pytest.raises(
        OptionError,
        match=r"pip install -e '\.\[view\]' in the folder of bigunet, or give --snapshot",
    ):
        bigunet.view(image)
