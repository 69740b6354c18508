"""The page of ``preview`` in a real browser: labels come where somebody looks, and only there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from distributed import Client
from support.browser import CHROMIUM, look_at_canvas
from support.squares import BRIGHT, COLOUR, write_squares
from torch import nn

from bigunet import Model, Preview, preview
from bigunet.geometry import Box

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
READY = "window.viewer && viewer.isReady()"
HARMLESS = ("python state event source connected", "performance warning: READ-usage buffer")
SHAPE = (1536, 2048)
WHITE = np.array((255, 255, 255))
BOTH = 0.65 * WHITE + 0.35 * np.array(COLOUR)


class Bright(nn.Module):
    """A network whose class 1 is what is bright."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([0.5 - image, image - 0.5], dim=1)


@pytest.fixture
def opened(tmp_path: Path, client: Client) -> Iterator[Preview]:
    write_squares(tmp_path / "in.zarr", SHAPE, (0.5, 0.5))
    with preview(
        tmp_path / "in.zarr",
        tmp_path / "out.zarr",
        model=Model.of_module(Bright(), ndim=2, voxel_size_um=(0.5, 0.5)),
        block_shape=(256, 256),
        grey_range=[(0, BRIGHT)],
        position="x=1024,y=768",
        client=client,
    ) as opened:
        yield opened


def zoomed(voxels_per_pixel: float) -> str:
    return (
        f"viewer.navigationState.zoomFactor.value = {voxels_per_pixel};"
        "new Promise(done => setTimeout(done, 3000))"
    )


def count(picture: np.ndarray, colour: np.ndarray) -> int:
    """Pixels of a colour, or almost."""
    return int((np.abs(picture.astype(float) - colour).max(axis=2) <= 3).sum())


def test_blocks_in_view_are_computed_and_an_overview_shows_them_and_starts_none(
    opened: Preview, tmp_path: Path
) -> None:
    (near, far), messages = look_at_canvas(
        opened.url, tmp_path / "browser", ready=READY, then=[zoomed(4.0)]
    )
    assert [m for m in messages if not any(word in m for word in HARMLESS)] == []
    # Without the bars at the top, the panel at the right, and the scale bar.
    part = near[110:620, 130:680]
    assert count(part, WHITE) == 0, "each bright box has its label"
    assert count(part, BOTH) > 0.1 * part[..., 0].size
    ledger = (tmp_path / "out.zarr/bigunet/ledger.jsonl").read_text().splitlines()
    done = [json.loads(line)["block"] for line in ledger[1:]]
    assert len(done) == len(set(done)) == opened.num_done
    assert 4 <= len(done) < 48
    # At this zoom a pixel is a voxel of level 2, and the whole image is in view.
    shown = opened._session.outputs["classes"].read(2, Box((0, 0), (384, 512)))
    # A label is as much more red than blue over black as over white.
    excess = far.astype(int)[60:680, :690, 0] - far[60:680, :690, 2]
    coloured = (np.abs(excess - 0.35 * (COLOUR[0] - COLOUR[2])) < 25).sum()
    assert coloured == pytest.approx(shown.sum(), rel=0.1)
