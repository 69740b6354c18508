"""The page of ``view`` in a real browser: labels lie on what they label, in the right colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.browser import CHROMIUM, look_at_canvas
from support.squares import COLOUR, write_squares

import bigunet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
READY = "window.viewer && viewer.isReady()"
HARMLESS = ("python state event source connected", "performance warning: READ-usage buffer")


def zoomed(voxels_per_pixel: float) -> str:
    return (
        f"viewer.navigationState.zoomFactor.value = {voxels_per_pixel};"
        "new Promise(done => setTimeout(done, 1000))"
    )


def test_labels_cover_the_bright_boxes_and_nothing_else_at_each_zoom(tmp_path: Path) -> None:
    classes = write_squares(tmp_path / "i.zarr", (64, 96), (0.5, 0.5))
    with bigunet.view(tmp_path / "i.zarr", position="x=47,y=31") as page:
        pictures, messages = look_at_canvas(
            page.url, tmp_path / "browser", ready=READY, then=[zoomed(0.125), zoomed(2.0)]
        )
    assert [m for m in messages if not any(word in m for word in HARMLESS)] == []
    both, white = 0.65 * 255 + 0.35 * np.array(COLOUR), np.array((255, 255, 255))
    for picture, pixels_per_voxel in zip(pictures, (1.0, 8.0, 0.5), strict=True):
        # Without the bars at the top, the panel at the right, and the scale bar.
        part = picture[110:620, 130:680].astype(float)
        assert count(part, white) == 0
        assert count(part, 0.35 * np.array(COLOUR)) == 0
        voxels = min(part.shape[0] * part.shape[1] / pixels_per_voxel**2, classes.size)
        labelled = count(part, both) / pixels_per_voxel**2
        assert labelled == pytest.approx(classes.mean() * voxels, rel=0.25)


def count(picture: np.ndarray, colour: np.ndarray) -> int:
    """Pixels of a colour, or almost."""
    return int((np.abs(picture - colour).max(axis=2) <= 3).sum())


def test_a_volume_has_four_panels_and_a_bar_of_the_right_length(tmp_path: Path) -> None:
    write_squares(tmp_path / "i.zarr", (16, 64, 96), (2.0, 0.5, 0.5))
    with bigunet.view(tmp_path / "i.zarr") as page:
        (picture,), messages = look_at_canvas(page.url, tmp_path / "browser", ready=READY)
        pitch = page.state["crossSectionScale"] * 0.5
    assert [m for m in messages if not any(word in m for word in HARMLESS)] == []
    # The bar is the long white line in the lower left corner of the upper left panel.
    corner = (picture[250:370, :250] == 255).all(axis=2)
    length = corner.sum(axis=1).max() * pitch
    digits = length / 10 ** np.floor(np.log10(length))
    assert min(abs(digits - one) for one in (1, 1.5, 2, 3, 5, 7.5, 10)) < 0.12
