"""The page in a real browser: nothing sticks out, nothing fails, light, dark, and in print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from support.browser import CHROMIUM, Look, look_at

import bigunet

LOOKS = [
    Look(1280), Look(1280, "dark"), Look(360), Look(794, "dark", "print"),
]  # fmt: skip
WHITE = "rgb(255, 255, 255)"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_page_without_errors_on_any_screen_and_in_print(
    tmp_path: Path, client: Client, write_model: Any, write_image: Any
) -> None:
    # Names that a line cannot hold.
    name = "long" * 40 + " <script>alert(1)<"
    write_image(tmp_path / f"{name}.zarr", "zyx")
    model = write_model(tmp_path / f"{'m' * 120}.safetensors", ndim=3)
    report = bigunet.segment(
        tmp_path / f"{name}.zarr", tmp_path / "out.zarr", model=model, client=client,
        backend="torch", block_shape=(16, 48, 70), object_class="class 1",
        outputs=("classes", "instances"),
    )  # fmt: skip
    seen, messages = look_at(Path(report.page), LOOKS, tmp_path / "browser")
    assert messages == []
    for look, shown in zip(LOOKS, seen):
        assert shown.scroll_width <= look.width
        assert shown.broken == 0
        is_dark = look == Look(look.width, "dark")
        assert (shown.paper != WHITE) == is_dark
        corner = shown.picture[:8, :8].mean()
        assert corner < 60 if is_dark else corner == 255
        # Pictures, bars and text are there in many shades.
        assert len(set(map(tuple, shown.picture[::7, ::7].reshape(-1, 3).tolist()))) > 50
