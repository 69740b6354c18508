"""The law of selections: selected voxels keep their labels, the others are label 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bigunet
from bigunet import SegmentOptions
from bigunet.errors import ImageError, OptionError

SHAPE, CHUNK = (96, 80), 16
OUTPUTS = ("classes", "probabilities")


def write_image(path: Path, stored: np.ndarray) -> None:
    """An image with noise in the chunks that ``stored`` names; other chunks are not stored."""
    array = zarr.create_array(str(path), shape=SHAPE, chunks=(CHUNK,) * 2, dtype="uint8",
                              fill_value=9)  # fmt: skip
    noise = np.random.default_rng(0).integers(10, 256, SHAPE).astype(np.uint8)
    for y, x in np.argwhere(stored):
        part = (slice(y * CHUNK, (y + 1) * CHUNK), slice(x * CHUNK, (x + 1) * CHUNK))
        array[part] = noise[part]


def segmented(source: Path, target: Path, client: Client, model: Path, **options: Any) -> Any:
    report = bigunet.segment(source, target, model=model, client=client, existing="overwrite",
                             options=SegmentOptions(outputs=OUTPUTS, **options))  # fmt: skip
    out = zarr.open_group(str(target), mode="r")
    return out["labels/classes/0"][:], out["probabilities/0"][:], report


chunk_flags = st.lists(st.booleans(), min_size=30, max_size=30)


@settings(
    max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    flags=chunk_flags,
    mask_flags=st.one_of(st.none(), chunk_flags),
    block=st.sampled_from([(16, 16), (64, 32), (128, 128)]),
    tile=st.sampled_from([(8, 8), (20, 40), (128, 128)]),
)
def test_voxels_that_are_not_selected_are_label_0_and_the_others_keep_their_labels(
    flags: list[bool],
    mask_flags: list[bool] | None,
    block: tuple[int, int],
    tile: tuple[int, int],
    tiny_model: Path,
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("selection")
    stored = np.array(flags).reshape(6, 5)
    write_image(folder / "in.zarr", stored)
    options: dict[str, Any] = {"skip_empty": True}
    selected = stored.repeat(CHUNK, 0).repeat(CHUNK, 1)
    if mask_flags is not None:
        mask = np.array(mask_flags).reshape(6, 5)
        zarr.create_array(str(folder / "mask.zarr"), data=mask.astype(np.uint8))
        options["mask"] = str(folder / "mask.zarr")
        selected &= mask.repeat(CHUNK, 0).repeat(CHUNK, 1)
    labels, chances, _ = segmented(folder / "in.zarr", folder / "all.zarr", client, tiny_model)
    kept_labels, kept_chances, report = segmented(
        folder / "in.zarr", folder / "out.zarr", client, tiny_model,
        block_shape=block, tile_shape=tile, **options,
    )  # fmt: skip
    np.testing.assert_array_equal(kept_labels, np.where(selected, labels, 0))
    background = np.zeros_like(chances)
    background[0] = 255
    off = np.abs(kept_chances.astype(int) - np.where(selected, chances, background))
    assert off[:, ~selected].max(initial=0) == 0
    # Scores of other tiles differ by rounding, which may change a byte by one.
    assert off.max() <= 1
    if not selected.any():
        assert (report.tiles_computed, report.bytes_read) == (0, 0)
    shares = {k: (kept_labels == i).mean() for i, k in enumerate(report.class_shares)}
    assert report.class_shares == pytest.approx(shares, abs=1e-5)
    checked = bigunet.verify(folder / "in.zarr", folder / "out.zarr", windows=4)
    assert checked.passed


def test_tiles_without_selected_voxels_are_neither_read_nor_computed(
    tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    stored = np.zeros((6, 5), bool)
    stored[0, 0] = True
    write_image(tmp_path / "in.zarr", stored)
    options = {"block_shape": (128, 128), "tile_shape": (16, 16)}
    _, _, full = segmented(tmp_path / "in.zarr", tmp_path / "a.zarr", client, tiny_model, **options)
    _, _, report = segmented(tmp_path / "in.zarr", tmp_path / "b.zarr", client, tiny_model,
                             skip_empty=True, **options)  # fmt: skip
    assert report.tiles_computed == 1 < full.tiles_computed
    assert report.bytes_read < full.bytes_read / 4


def test_labels_outside_the_selection_do_not_verify(
    tiny_model: Path, client: Client, tmp_path: Path
) -> None:
    stored = np.ones((6, 5), bool)
    stored[:3] = False
    write_image(tmp_path / "in.zarr", stored)
    segmented(tmp_path / "in.zarr", tmp_path / "out.zarr", client, tiny_model, skip_empty=True)
    array = zarr.open_array(str(tmp_path / "out.zarr/labels/classes/0"), mode="r+")
    array[0] = 1
    assert not bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr").passed


def test_another_mask_is_another_run(tiny_model: Path, bigunet: Any, tmp_path: Path) -> None:
    write_image(tmp_path / "in.zarr", np.ones((6, 5), bool))
    for name in ("a", "b"):
        zarr.create_array(str(tmp_path / f"{name}.zarr"), data=np.ones((6, 5), np.uint8))
    command = ["segment", tmp_path / "in.zarr", tmp_path / "out.zarr", "--model", tiny_model]
    assert bigunet(*command, "--quiet", "--mask", tmp_path / "a.zarr").code == 0
    again = bigunet(*command, "--quiet", "--resume", "--mask", tmp_path / "b.zarr")
    assert again.code == 1
    assert "--mask was" in again.err


def test_a_missing_mask_or_one_with_other_axes_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "in.zarr", np.ones((6, 5), bool))
    with pytest.raises(ImageError, match=r"no\.zarr"):
        bigunet.plan(tmp_path / "in.zarr", model=tiny_model,
                     options=SegmentOptions(mask=str(tmp_path / "no.zarr")))  # fmt: skip
    zarr.create_array(str(tmp_path / "zyx.zarr"), data=np.ones((2, 6, 5), np.uint8))
    with pytest.raises(OptionError, match="the image only y, x"):
        bigunet.plan(tmp_path / "in.zarr", model=tiny_model,
                     options=SegmentOptions(mask=str(tmp_path / "zyx.zarr")))  # fmt: skip
