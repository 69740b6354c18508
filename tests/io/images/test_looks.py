"""How images ask to be shown; nonsense counts as not stated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from bigunet.io.files.opening import open_image
from bigunet.io.images.looks import (
    StatedLook,
    _colour,
    _look,
    label_colours,
    listed_labels,
    stated_looks,
)

_PLAIN = st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=8)
JSON = _PLAIN | st.lists(_PLAIN, max_size=4)


def test_colours_and_windows_are_read(tmp_path: Path, write_image: Any) -> None:
    write_image(tmp_path / "i.zarr", "cyx", metadata={"channels": ["a", "b"]})
    path = tmp_path / "i.zarr/.zattrs"
    attributes = json.loads(path.read_text())
    first, second = attributes["omero"]["channels"]
    first |= {"color": "00ff7F", "window": {"min": 0, "max": 9, "start": 2, "end": 7.5}}
    second |= {"color": "#0000FF", "active": False, "window": {"start": 7, "end": 7}}
    path.write_text(json.dumps(attributes))
    assert stated_looks(open_image(tmp_path / "i.zarr")) == (
        StatedLook("00FF7F", (2.0, 7.5)), StatedLook("0000FF", None, shown=False),
    )  # fmt: skip


@given(
    entry=st.fixed_dictionaries(
        {}, optional={"color": JSON, "active": JSON, "window": st.dictionaries(
            st.sampled_from(["start", "end"]), JSON)}
    )
)  # fmt: skip
def test_a_channel_may_state_anything(entry: dict[str, Any]) -> None:
    look = _look(entry)
    assert look.colour == "" or len(look.colour) == 6
    assert look.window is None or look.window[0] < look.window[1]


@given(item=JSON | st.fixed_dictionaries({"label-value": JSON, "rgba": JSON}))
def test_a_label_colour_may_state_anything(item: Any) -> None:
    read = _colour(item)
    assert read is None or all(0 <= part <= 255 for part in read[1])


def test_colours_of_labels_are_read_and_labels_are_listed(tmp_path: Path, write_image: Any) -> None:
    write_image(tmp_path / "i.zarr", "yx", version="0.5")
    write_image(tmp_path / "i.zarr/labels/cells", "yx", version="0.5")
    label = {"colors": [{"label-value": 3, "rgba": [1, 2, 3, 4]}, {"label-value": 4, "rgba": [9]}]}
    cells = zarr.open_group(tmp_path / "i.zarr/labels/cells", mode="a")
    cells.attrs["ome"] = cells.attrs.asdict()["ome"] | {"image-label": label}
    names = ["cells", "missing", "../i", 7, ""]
    zarr.open_group(tmp_path / "i.zarr/labels", mode="a").attrs["ome"] = {
        "version": "0.5", "labels": names,
    }  # fmt: skip
    image = open_image(tmp_path / "i.zarr")
    assert listed_labels(image) == ("labels/cells",)
    assert label_colours(open_image(tmp_path / "i.zarr/labels/cells")) == {3: (1, 2, 3, 4)}
    assert label_colours(image) == {}


def test_a_bare_array_states_nothing(tmp_path: Path) -> None:
    zarr.save_array(tmp_path / "a.zarr", np.zeros((4, 5), np.uint8))
    image = open_image(tmp_path / "a.zarr")
    assert stated_looks(image) == (StatedLook(),)
    assert listed_labels(image) == ()
    assert label_colours(image) == {}


@pytest.mark.parametrize("code", ["F00", "red", "#12345", 7, None, "GG0000"])
def test_a_colour_that_is_none_is_not_stated(code: Any) -> None:
    assert _look({"color": code}).colour == ""
