"""Laws of the parts of a page: text stays text, pictures stay small, charts are what they say."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.page_parser import ParsedPage, decoded

from bigunet.report.charts import grey_histogram, size_bars
from bigunet.report.heat_map import heat_map
from bigunet.report.inline_picture import encoded, inline_picture
from bigunet.report.label_picture import framed, outlined, seen_grey, tinted
from bigunet.report.markup import element, escaped, figure, listed
from bigunet.report.page_frame import page
from bigunet.report.timeline import timeline

HOSTILE = ["<script>alert(1)</script>", "a & b", '" onload="x', "'", "</title>", "\x00\ud800"]
TEXTS = st.one_of(st.text(), st.sampled_from(HOSTILE))
PICTURES = arrays.arrays(np.uint8, st.tuples(*[st.integers(1, 40)] * 2, st.just(3)))


@given(TEXTS)
def test_text_is_shown_as_it_is_and_opens_no_element(text: str) -> None:
    parsed = ParsedPage.of(page(text, element("p", text, title=text)))
    # A browser reads these letters in another way, or not at all.
    seen = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", text)
    assert parsed.text("p") == seen
    assert parsed.named("p") == [{"title": seen}]
    assert parsed.text("title") == seen
    assert {name for name, _ in parsed.elements} == {
        "html", "head", "meta", "title", "style", "body", "main", "p",
    }  # fmt: skip
    page(text).encode()


def test_markup_is_escaped_once() -> None:
    inner = element("b", "<")
    assert escaped(inner) == inner == "<b>&lt;</b>"
    assert figure(inner, "a") == "<figure><b>&lt;</b><figcaption>a</figcaption></figure>"
    assert listed([("a", inner)]) == "<dl><dt>a</dt><dd><b>&lt;</b></dd></dl>"


@given(st.integers(20, 300), st.integers(20, 300), st.integers(2_000, 100_000))
def test_a_picture_has_at_most_the_bytes_that_it_may_have(
    height: int, width: int, most_bytes: int
) -> None:
    # Noise is what takes most.
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert len(encoded(pixels, most_bytes)) <= most_bytes


@given(PICTURES, st.text(), st.booleans())
def test_a_small_picture_keeps_every_pixel_and_says_its_size(
    pixels: np.ndarray, alt: str, sharp: bool
) -> None:
    markup = inline_picture(pixels, alt, most_bytes=100_000, sharp=sharp)
    (attributes,) = ParsedPage.of(markup).named("img")
    assert (decoded(attributes["src"]) == pixels).all()
    assert (int(attributes["height"]), int(attributes["width"])) == pixels.shape[:2]
    assert ("class" in attributes) == sharp


def test_grey_values_are_seen_from_black_to_white_within_their_range() -> None:
    voxels = np.array([[[0, 100, 150, 200, 300]]], np.uint16)
    assert seen_grey(voxels, (100,), (200,))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert seen_grey(voxels, (200,), (100,))[0, :, 1].tolist() == [255, 255, 128, 0, 0]
    rgb = np.array([[[10]], [[20]], [[30]]])
    assert seen_grey(rgb, (0,) * 3, (255,) * 3).tolist() == [[[10, 20, 30]]]
    assert seen_grey(rgb[:2], (0,) * 2, (255,) * 2).tolist() == [[[10, 10, 10]]]
    with_nan = np.array([[[np.nan, np.inf, 1.0]]])
    assert seen_grey(with_nan, (0,), (1,))[0, :, 0].tolist() == [0, 255, 255]


@given(arrays.arrays(np.uint8, (7, 9), elements=st.integers(0, 2)))
def test_labels_color_only_their_own_voxels(labels: np.ndarray) -> None:
    grey = np.full((7, 9, 3), 100, np.uint8)
    colors = [(0, 0, 0), (200, 0, 0), (0, 0, 200)]
    tint = tinted(grey, labels, colors, 0.5)
    assert (tint[labels == 0] == 100).all()
    assert (tint[labels == 1] == (150, 50, 50)).all()
    drawn = outlined(grey, labels, colors, labels)
    changed = (drawn != 100).any(axis=2)
    assert not changed[labels == 0].any()
    assert (drawn[changed] == np.array(colors)[labels[changed]]).all()


def test_a_frame_keeps_the_picture_and_marks_where_blocks_begin() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 50, 3)).astype(np.uint8)
    drawn = framed(picture, [30], [7, 20])
    assert (drawn[4:-4, 4:-4] == picture).all()
    marked = [np.flatnonzero((line == 255).all(axis=1)) - 4 for line in (drawn[:, 0], drawn[0])]
    # White is the last voxel of a block, black the first of the next.
    assert [places.tolist() for places in marked] == [[29], [6, 19]]


def test_a_map_goes_from_dark_to_bright_and_leaves_the_unknown_grey() -> None:
    picture = heat_map(np.array([[1.0, 2.0, np.nan, 3.0]]))
    assert picture[0, 2].tolist() == [128] * 3
    assert picture[0, 0].tolist() == [0, 34, 78]
    assert picture[0, 3].tolist() == [254, 232, 56]
    assert picture[0, 0].sum() < picture[0, 1].sum() < picture[0, 3].sum()
    assert heat_map(np.ones((2, 2)))[0, 0].tolist() == [0, 34, 78]


@given(
    arrays.arrays(np.int64, st.integers(1, 90), elements=st.integers(0, 10**9)),
    st.tuples(*[st.integers(-100, 100)] * 2),
)
def test_a_chart_stays_within_its_frame(counts: np.ndarray, grey_range: tuple[int, int]) -> None:
    ends = min(grey_range) - 1.0, max(grey_range) + 1.0
    chart = grey_histogram(counts, ends, grey_range, "words")
    parsed = ParsedPage.of(chart)
    width = float(parsed.named("svg")[0]["viewbox"].split()[2])
    moved = [float(x) for x in re.findall(r"M(-?[\d.]+) ", chart)]
    assert all(0 <= x <= width for x in moved)
    assert parsed.text("title") == "words"


@pytest.mark.parametrize("sizes", [(1,), (0, 0, 5), (0, 3, 0, 7), tuple(range(30))])
def test_each_size_that_occurs_has_a_bar(sizes: tuple[int, ...]) -> None:
    heights = re.findall(r"v([\d.]+)h-", size_bars(sizes, ""))
    first = next(k for k, count in enumerate(sizes) if count)
    assert [float(h) > 0 for h in heights] == [count > 0 for count in sizes[first:]]
    assert max(map(float, heights)) == 138


def test_the_colors_of_a_row_are_as_high_as_their_shares() -> None:
    shares = np.zeros((1, 4, 10))
    shares[0, 2, :5] = 0.5
    shares[0, 0, :5] = 0.25
    drawing = timeline(shares, ["worker"], 20.0, [(10.0, "pause of 1 h")], "words")
    paths = {path["class"]: path["d"] for path in ParsedPage.of(drawing).named("path")}
    assert paths["compute"] == "M130 24h300v8h-300z"
    assert paths["read"] == "M130 32h300v4h-300z"
    assert paths["cut"].startswith("M430 ")
    assert "pause of 1 h" in drawing
