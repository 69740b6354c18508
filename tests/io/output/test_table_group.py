"""A table inside an image: the old one, or the new one, whatever happens to its writer."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import zarr

from bigunet.errors import OutputError
from bigunet.io.output import table_group
from bigunet.io.output.table_group import replacing_table_group, tables_of
from bigunet.machine import files


@pytest.fixture(params=["0.4", "0.5"])
def image(request: Any, tmp_path: Path, write_image: Any) -> Path:
    write_image(tmp_path / "image.zarr", version=request.param)
    return tmp_path / "image.zarr"


def write(image: Path, text: str, name: str = "cells") -> None:
    with replacing_table_group(image, name, {"text": text}) as folder:
        (folder / "table.csv").write_text(text)


def read(image: Path) -> str:
    """The table, which is whole: its attributes and its file say the same."""
    text = (image / "tables" / "cells" / "table.csv").read_text()
    assert zarr.open_group(image / "tables" / "cells", mode="r").attrs["text"] == text
    return text


def test_a_table_is_listed_and_replaced(image: Path) -> None:
    for name, text in (("cells", "old"), ("more", "other"), ("cells", "new")):
        write(image, text, name)
    assert read(image) == "new"
    assert tables_of(image) == ["cells", "more"]
    assert zarr.open_group(image / "tables", mode="r").attrs["tables"] == ["cells", "more"]
    assert not list((image / "tables").glob(".*.partial"))


def test_an_error_leaves_the_old_table(image: Path) -> None:
    write(image, "old")
    with pytest.raises(TypeError), replacing_table_group(image, "cells", {"text": {1}}) as folder:
        (folder / "table.csv").write_text("half")
    assert read(image) == "old"
    assert not list((image / "tables").glob(".*.partial"))


STEPS = ("_write_attributes", "swap_folders", "_list_table")


def _killed(image: Path, step: str) -> None:
    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(table_group, step, kill)
    write(image, "new")


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_writer_leaves_the_old_table_or_the_new_one(
    image: Path, step: str, old: bool
) -> None:
    if old:
        write(image, "old")
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(image, step))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert tables_of(image) == (["cells"] if old else [])
    if old:
        assert read(image) == ("new" if step == "_list_table" else "old")
    write(image, "newest")
    assert read(image) == "newest"
    assert tables_of(image) == ["cells"]
    assert not list((image / "tables").glob(".*.partial"))


def test_file_systems_that_exchange_no_names_get_the_new_table(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    write(image, "old")
    write(image, "new")
    assert read(image) == "new"
    assert not list((image / "tables").glob(".*.partial"))


@pytest.mark.parametrize(
    ("place", "name", "reason"),
    [
        ("https://example.org/image.zarr", "cells", "it is no local OME-Zarr; give --table"),
        ("/nowhere/image.zarr", "cells", "it is no local OME-Zarr"),
        ("", "../cells", "cannot be named '../cells'; use letters"),
    ],
)
def test_where_no_table_can_be_is_refused(image: Path, place: str, name: str, reason: str) -> None:
    with (
        pytest.raises(OutputError, match=reason),
        replacing_table_group(place or image, name, {}),
    ):
        pass
