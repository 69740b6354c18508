"""What the page shows, in the words of neuroglancer."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigunet.io.files.opening import open_image
from bigunet.viewing.channel_looks import grey_layer
from bigunet.viewing.scene import LabelLayer, Scene, ValueLook
from bigunet.viewing.viewer_state import (
    label_layer,
    label_name,
    properties_name,
    renewed_state,
    state_of,
)

VALUES = {0: ValueLook("background", "000000"), 2: ValueLook("cell", "FF8000")}


def address(name: str) -> str:
    return f"http://here/{name}"


def scene_of(path: Path, write_image: Any, axes: str, **metadata: Any) -> Scene:
    write_image(path, axes, metadata=metadata)
    return Scene("in.zarr", grey_layer(open_image(path)))


def test_a_plane_has_one_panel_and_metres_as_units(tmp_path: Path, write_image: Any) -> None:
    scene = scene_of(
        tmp_path / "i.zarr", write_image, "yx", scale=[0.5, 0.25], translation=[4.0, 2.0]
    )
    state = state_of(scene, address, {})
    assert state["layout"] == "xy"
    assert state["dimensions"] == {"x": [0.25e-6, "m"], "y": [0.5e-6, "m"]}
    # The middle voxel, 35 and 45, counted from the origin of space.
    assert state["position"] == [2 / 0.25 + 35, 4 / 0.5 + 45]


def test_a_series_of_stacks_has_four_panels_and_begins_at_the_first_time(
    tmp_path: Path, write_image: Any
) -> None:
    scene = scene_of(tmp_path / "i.zarr", write_image, "tzyx", scale=[60.0, 2.0, 0.5, 0.5])
    state = state_of(scene, address, {})
    assert state["layout"] == "4panel"
    assert list(state["dimensions"]) == ["x", "y", "z", "t"]
    assert state["dimensions"]["t"] == [60.0, "s"]
    assert state["displayDimensions"] == ["x", "y", "z"]
    assert state["position"] == [35, 45, 10, 0]
    near = state_of(scene, address, {"x": 3, "t": 1})
    assert (near["position"], near["crossSectionScale"]) == ([3, 45, 10, 1], 1.0)


def test_each_channel_is_a_layer_with_its_colour_and_window(
    tmp_path: Path, write_image: Any
) -> None:
    scene = scene_of(tmp_path / "i.zarr", write_image, "cyx", channels=["DAPI", "DAPI"])
    layers = state_of(scene, address, {})["layers"]
    assert [layer["name"] for layer in layers] == ["DAPI 0", "DAPI 1"]
    assert [layer["source"] for layer in layers] == [
        "zarr3://http://here/image-0/", "zarr3://http://here/image-1/",
    ]  # fmt: skip
    assert {layer["blend"] for layer in layers} == {"additive"}
    assert "#00FFFF" in layers[0]["shader"]
    assert scene.grey is not None
    assert layers[0]["shaderControls"]["normalized"]["range"] == list(scene.grey.looks[0].window)


def test_classes_have_colours_and_names_and_objects_have_their_table(
    tmp_path: Path, write_image: Any
) -> None:
    image = scene_of(tmp_path / "i.zarr", write_image, "yx").main
    classes = label_layer(LabelLayer("classes", image, VALUES), address)
    assert classes["segmentColors"] == {"2": "#FF8000"}
    assert classes["source"] == [
        "zarr3://http://here/labels-classes/",
        "precomputed://http://here/labels-classes-properties",
    ]
    assert len(label_layer(LabelLayer("a b", image, table=tmp_path), address)["source"]) == 2
    plain = label_layer(LabelLayer("a b", image), address)
    assert plain["source"] == [f"zarr3://http://here/{label_name('a b')}/"]
    assert "segmentColors" not in plain


def test_what_the_user_chose_stays_when_labels_are_read_anew(
    tmp_path: Path, write_image: Any
) -> None:
    scene = scene_of(tmp_path / "i.zarr", write_image, "yx")
    before = replace(scene, labels=(LabelLayer("classes", scene.main, VALUES),))
    after = replace(before, labels=(*before.labels, LabelLayer("instances", scene.main)))
    state = state_of(before, address, {})
    state["layers"][1]["visible"] = False
    state["layers"].append({"name": "of the user", "source": "x"})
    state["position"] = [1.0, 2.0]
    seen = renewed_state(state, before, after, lambda name: address(name + "@1"))
    names = [layer["name"] for layer in seen["layers"]]
    assert names == ["i", "classes", "of the user", "instances"]
    assert seen["position"] == [1.0, 2.0]
    assert seen["layers"][0] == state["layers"][0]
    assert seen["layers"][1]["visible"] is False
    assert seen["layers"][1]["source"][0] == "zarr3://http://here/labels-classes@1/"
    removed = renewed_state(state | {"layers": []}, before, after, address)
    assert [layer["name"] for layer in removed["layers"]] == ["instances"]


@pytest.mark.parametrize("axes", ["yx", "xy", "zyx", "tyx"])
def test_the_whole_plane_fits_on_the_screen(tmp_path: Path, write_image: Any, axes: str) -> None:
    scale = {"t": 1.0, "z": 3.0, "y": 0.25, "x": 0.5}
    scene = scene_of(tmp_path / "i.zarr", write_image, axes, scale=[scale[a] for a in axes])
    state = state_of(scene, address, {})
    # In lengths of the smallest voxel: 90 voxels along y, and 140 along x, of 0.25 µm.
    share = 0.5 if "z" in axes else 1.0
    lengths = {"x": 140 / 900, "y": 90 / 650} | ({"z": 240 / 650} if "z" in axes else {})
    assert state["crossSectionScale"] == pytest.approx(max(lengths.values()) / share)


@given(st.lists(st.text(st.characters(exclude_characters="/"), min_size=1), unique=True))
def test_no_two_labels_or_their_properties_are_served_under_one_name(names: list[str]) -> None:
    served = [label_name(name) for name in names]
    every = [*served, *map(properties_name, served)]
    assert len(set(every)) == len(every)
    assert all(re.fullmatch(r"[\w-]+", name, re.ASCII) for name in every)


@pytest.mark.parametrize("names", [("a.b", "a_b"), ("核", "膜"), ("a", "a-properties")])
def test_names_with_other_letters_stay_apart(names: tuple[str, str]) -> None:
    first, second = map(label_name, names)
    assert len({first, second, properties_name(first), properties_name(second)}) == 4
