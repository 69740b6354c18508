"""Laws of the page of a run: it needs nothing else, shows the true voxels, and fails no run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client
from support.page_parser import ParsedPage
from support.stored import contents

import bigunet as package
from bigunet.segmentation.page import shown_pixels

SECTIONS = [
    "Overview", "Close up", "Classes and objects", "Grey values", "Model and fit", "Time",
    "How it was made",
]  # fmt: skip
CASES = [
    ("yx", {}, {}),  # several blocks
    ("zyx", {}, {"block_shape": (16, 32, 48)}),  # planes, one after the other
    ("tyx", {}, {}),
    ("tzyx", {}, {"roi": {"z": (3, 9), "y": (5, 80)}}),
    ("yx", {"in_channels": 1}, {"outputs": ("probabilities",)}),
    ("yx", {}, {"outputs": ("classes", "instances"), "smallest": 3}),
    ("zyx", {"ndim": 3}, {"block_shape": (16, 48, 70), "outputs": ("instances",)}),
]


def segment(client: Client, image: Path, target: Path | None, model: Path, **more: Any) -> Any:
    usual: dict[str, Any] = {"block_shape": (32, 48), "backend": "torch"}
    return package.segment(image, target, model=model, client=client, **usual | more)


def page_of(report: Any) -> ParsedPage:
    return ParsedPage.of(Path(report.page))


def check_alone(page: ParsedPage) -> None:
    """Nothing comes from elsewhere, and every picture says what it shows."""
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "a"}
    for name, attributes in page.elements:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("src", "href", "srcset", "action", "data"):
                assert name == "img"
                assert value.startswith("data:image/webp;base64,")
            assert "url(" not in value.replace("url(#scale)", "")
    style = page.text("style")
    assert "@import" not in style
    assert "url(" not in style
    for image in page.named("img"):
        assert image["alt"].strip()
    for drawing in page.named("svg"):
        assert drawing["role"] == "img"
    assert len(page.named("title")) == 1 + len(page.named("svg"))


@pytest.mark.parametrize(("axes", "network", "options"), CASES)
def test_the_page_of_any_run_is_whole_and_needs_nothing_else(
    tmp_path: Path, client: Client, write_model: Any, write_image: Any, axes: str,
    network: dict[str, Any], options: dict[str, Any],
) -> None:  # fmt: skip
    write_image(tmp_path / "in.zarr", axes, chunks=(1,) * (len(axes) - 2) + (30, 30))
    model = write_model(tmp_path / "m.safetensors", **network)
    if "instances" in options.get("outputs", ()):
        options = {"object_class": "class 1", **options}
    report = segment(client, tmp_path / "in.zarr", tmp_path / "out.zarr", model, **options)
    assert report.page == str(tmp_path / "out.zarr/bigunet/report.html")
    page = page_of(report)
    check_alone(page)
    assert [text for tag, text in page.texts if tag == "h2"] == SECTIONS
    for attributes, pixels in zip(page.named("img"), page.pictures().values()):
        width, height = int(attributes["width"]), int(attributes["height"])
        assert pixels.shape == (height, width, 3)
    assert Path(report.page).stat().st_size < 3_000_000
    seen = any("From the side" in alt for alt in page.pictures())
    assert seen == (network.get("ndim") == 3)
    assert report.to_dict()["page"] == report.page


def test_enlarged_parts_show_the_voxels_of_the_image_and_where_they_are(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    pixels = write_image(tmp_path / "in.zarr", shape=(300, 500), chunks=(64, 64))
    roi = {"y": (20, 300), "x": (30, 470)}
    target = tmp_path / "out.zarr"
    report = segment(
        client, tmp_path / "in.zarr", target, tiny_model, roi=roi, block_shape=(128, 128)
    )
    alone = {a: p for a, p in page_of(report).pictures().items() if "image alone" in a}
    assert len(alone) == 3
    for alt, picture in alone.items():
        top, bottom, left, right = map(int, re.findall(r"\d+(?=,| to|$)", alt.split(": ")[1]))
        shown = pixels[20 + top : 20 + bottom + 1, 30 + left : 30 + right + 1]
        assert shown.shape == (224, 224)
        assert (picture[5:-5, 5:-5] == shown[:, :, None]).all()
    drawn = {a: p for a, p in page_of(report).pictures().items() if "with its labels" in a}
    classes = zarr.open_array(str(target / "labels/classes/0"), mode="r")[...]
    for alt, picture in drawn.items():
        top, bottom, left, right = map(int, re.findall(r"\d+(?=,| to|$)", alt.split(": ")[1]))
        labels = classes[top : bottom + 1, left : right + 1]
        inner = picture[5:-5, 5:-5]
        is_grey = (inner == inner[:, :, :1]).all(axis=2)
        assert is_grey[labels == 0].all()
        assert not is_grey[labels > 0].any()


def test_three_channels_are_red_green_and_blue(
    tmp_path: Path, client: Client, write_model: Any, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr", "cyx", shape=(3, 60, 70))
    array = zarr.open_array(str(tmp_path / "in.zarr/0"))
    array[:] = np.broadcast_to(np.array([250, 100, 20], np.uint8)[:, None, None], array.shape)
    model = write_model(tmp_path / "m.safetensors", in_channels=3)
    report = segment(client, tmp_path / "in.zarr", tmp_path / "out.zarr", model)
    page = page_of(report)
    alone = next(p for a, p in page.pictures().items() if "image alone" in a)
    # The frame is four or more pixels wide.
    assert (alone[9:-9, 9:-9] == (250, 100, 20)).all()
    assert "Channels 0, 1 and 2 are red, green and blue." in page.text("figcaption")
    assert sum("Histogram of grey" in text for _, text in page.texts) == 3


def test_names_are_text_and_passwords_are_left_out(
    tmp_path: Path, client: Client, write_model: Any, write_image: Any
) -> None:
    name = "<script>alert('1')<&\".zarr"
    write_image(tmp_path / name)
    model = write_model(tmp_path / "<b>.safetensors")
    report = segment(client, tmp_path / name, tmp_path / "out <i>.zarr", model)
    page = page_of(report)
    check_alone(page)
    assert page.text("h1") == f"Segmentation of {name}"
    assert not {"b", "i"} & {tag for tag, _ in page.elements}
    words = shlex.split(page.text("code"))
    assert words[:4] == ["bigunet", "segment", str(tmp_path / name), str(tmp_path / "out <i>.zarr")]


def test_the_command_of_the_page_repeats_the_run(
    bigunet: Any, tmp_path: Path, client: Client, tiny_model: Path, write_image: Any
) -> None:
    write_image(tmp_path / "in.zarr", "cyx")
    options: dict[str, Any] = {"channels": (1,), "roi": {"y": (3, 60)}, "percentiles": (2, 99)}
    report = segment(client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model, **options)
    before = contents(tmp_path / "out.zarr")
    program, *words = shlex.split(page_of(report).text("code"))
    assert program == "bigunet"
    done = bigunet(*words, "--overwrite", "--scheduler", client.scheduler.address)
    assert done.code == 0
    assert f"report: {report.page}" in done.messages
    assert contents(tmp_path / "out.zarr") == before


def test_an_image_without_a_small_level_is_not_read_whole_for_the_overview(
    tmp_path: Path, client: Client, tiny_model: Path, write_image: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(shown_pixels, "_MOST_VOXELS", 90 * 70 - 1)
    monkeypatch.setattr(shown_pixels, "_SAMPLE", 11)
    write_image(tmp_path / "in.zarr")
    report = segment(client, tmp_path / "in.zarr", tmp_path / "out.zarr", tiny_model)
    page = page_of(report)
    assert "The image has no small level, so only the labels are shown." in page.text("figcaption")
    assert "Histogram of grey values" in page.text("title")
