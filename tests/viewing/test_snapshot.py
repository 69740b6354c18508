"""Pictures without a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from PIL import Image

from bigunet.errors import OptionError, OutputError
from bigunet.io.files.opening import open_image
from bigunet.viewing.open_scene import SceneRequest, open_scene
from bigunet.viewing.scale_bar import bar_length, with_scale_bar
from bigunet.viewing.scene import ChannelLook, GreyLayer, LabelLayer, Scene, ValueLook
from bigunet.viewing.snapshot import colour_of, drawn_scene, id_colour, snapshot
from bigunet.viewing.viewer_state import state_of


def scene_of(tmp_path: Path, write_image: Any, ids: np.ndarray, **look: Any) -> Scene:
    write_image(tmp_path / "i.zarr", "cyx", shape=(2, 40, 30))
    zarr.save_array(tmp_path / "ids.zarr", ids)
    grey = open_image(tmp_path / "i.zarr")
    looks = (ChannelLook("a", "FF0000", (0, 255)), ChannelLook("b", "00FF00", (50, 100)))
    layer = LabelLayer("ids", open_image(tmp_path / "ids.zarr"), **look)
    return Scene("i", GreyLayer(grey, looks), (layer,))


def test_channels_are_added_in_their_colours_and_windows(tmp_path: Path, write_image: Any) -> None:
    scene = scene_of(tmp_path, write_image, np.zeros((40, 30), np.uint32))
    red, green = np.asarray(zarr.open_group(tmp_path / "i.zarr", mode="r")["0"]).astype(float)
    picture = drawn_scene(scene, position={}, size=40)
    np.testing.assert_array_equal(picture[..., 0], red)
    expected = (np.clip((green - 50) / 50, 0, 1) * 255).round()
    np.testing.assert_array_equal(picture[..., 1], expected)
    assert not picture[..., 2].any()


def test_labels_are_tinted_exactly_where_they_are(tmp_path: Path, write_image: Any) -> None:
    ids = np.zeros((40, 30), np.uint32)
    ids[3:9, 5:7], ids[20, 20] = 7, 8
    scene = scene_of(tmp_path, write_image, ids)
    plain = drawn_scene(Scene("i", scene.grey), position={}, size=40).astype(float)
    picture = drawn_scene(scene, position={}, size=40)
    np.testing.assert_array_equal(picture[ids == 0], plain[ids == 0])
    for number in (7, 8):
        expected = (0.65 * plain[ids == number] + 0.35 * np.array(id_colour(number))).round()
        np.testing.assert_array_equal(picture[ids == number], expected)


def test_classes_have_their_colours(tmp_path: Path, write_image: Any) -> None:
    classes = np.zeros((40, 30), np.uint8)
    classes[5:9] = 1
    values = {0: ValueLook("background", "123456"), 1: ValueLook("cell", "0000FF")}
    scene = scene_of(tmp_path, write_image, classes, values=values)
    picture = drawn_scene(Scene("i", None, scene.labels), position={}, size=40)
    expected = np.zeros((40, 30, 3), np.uint8)
    expected[5:9] = (0, 0, round(0.35 * 255))
    np.testing.assert_array_equal(picture, expected)


def test_colours_of_a_slide_are_its_own(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "slide.png")
    assert snapshot(tmp_path / "slide.png", tmp_path / "out.png", size=60) == ()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), pixels)


def add_level(path: Path, pixels: np.ndarray) -> None:
    """A second level, half as large as the first one, which has voxels of 0.5 µm."""
    group = zarr.open_group(path, mode="r+")
    encoding = {"name": "v2", "separator": "/"}
    group.create_array("1", data=pixels, chunk_key_encoding=encoding)
    (multiscale,) = group.attrs["multiscales"]
    steps = [{"type": "scale", "scale": [1, 1]}, {"type": "translation", "translation": [0.25] * 2}]
    multiscale["datasets"].append({"path": "1", "coordinateTransformations": steps})
    group.attrs["multiscales"] = [multiscale]


@pytest.mark.parametrize("level", [0, 1])
def test_an_output_of_a_region_shows_the_region(
    bigunet: Any, tmp_path: Path, tiny_model: Path, write_image: Any, level: int
) -> None:
    pixels = write_image(tmp_path / "i.zarr", shape=(160, 200), metadata={"scale": [0.5, 0.5]})
    add_level(tmp_path / "i.zarr", pixels[::2, ::2])
    words = ["--model", tiny_model, "--roi", "x=60:92", "--roi", "y=8:40", "--level", level]
    bigunet("segment", tmp_path / "i.zarr", tmp_path / "o.zarr", *words, "--no-report")
    scene = open_scene(SceneRequest(path=tmp_path / "o.zarr"))
    plain = replace(scene, labels=())
    whole = drawn_scene(replace(plain, part=None), position={}, size=200)
    picture = drawn_scene(plain, position={}, size=32 << level)
    cut = (slice(8 << level, 40 << level), slice(60 << level, 92 << level))
    np.testing.assert_array_equal(picture, whole[cut])
    state = state_of(scene, str, {})
    middle = dict(zip("xy", state["position"]))
    assert middle == pytest.approx({"x": 76 << level, "y": 24 << level}, abs=level)
    assert state["crossSectionScale"] == pytest.approx((32 << level) / 650)


def test_near_numbers_have_unlike_colours() -> None:
    colours = np.array([id_colour(k) for k in range(1, 200)], float)
    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 100
    assert colours.max(axis=1).min() == 255
    assert colour_of("102030") == (16, 32, 48)


@pytest.mark.parametrize("width", [130, 333, 1024, 5000])
@pytest.mark.parametrize("pitch", [0.001, 0.33, 1.0, 70.0])
def test_the_bar_is_a_round_length_of_up_to_a_fifth_of_the_picture(
    pitch: float, width: int
) -> None:
    length = bar_length(pitch, width)
    assert 0.4 < length / (pitch * width * 0.2) <= 1 + 1e-6
    assert f"{length:.0e}"[0] in "125"
    picture = np.full((200, width, 3), 200, np.uint8)
    drawn = with_scale_bar(picture, pitch, "µm")
    white = (drawn == 255).all(axis=2)
    assert white.sum(axis=1).max() == round(length / pitch)
    assert not (drawn != picture).any(axis=2)[:, width // 2 :].any()


def test_a_small_picture_has_no_bar() -> None:
    picture = np.zeros((127, 500, 3), np.uint8)
    np.testing.assert_array_equal(with_scale_bar(picture, 1.0, "px"), picture)


def test_what_is_no_picture_is_refused(tmp_path: Path, write_image: Any) -> None:
    write_image(tmp_path / "i.zarr", "yx")
    with pytest.raises(OptionError, match=r"the picture is a PNG; name it \.png"):
        snapshot(tmp_path / "i.zarr", tmp_path / "a.jpg")
    with pytest.raises(OptionError, match="--size 9000: give 16 to 8192 pixels"):
        snapshot(tmp_path / "i.zarr", tmp_path / "a.png", size=9000)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose a folder that can be written"):
        snapshot(tmp_path / "i.zarr", tmp_path / "file/a.png")
