"""NaN and infinity in an image: refused with their position, or background, for any blocks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from distributed import Client

from bigunet import SegmentOptions, segment, verify
from bigunet.errors import BlockError

SIZE = 120
SPOTS = [(5, 7), (64, 63), (63, 110), (119, 0)]


def image(path: Path, dtype: str = "float32", *, value: float = np.nan, **more: Any) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE)).astype(dtype)
    for spot in SPOTS if dtype.startswith("f") else ():
        pixels[spot] = value
    zarr.create_array(path, data=pixels, chunks=(32, 32), **more)
    return pixels


def run(source: Path, target: Path, client: Client, model: Path, **options: Any) -> np.ndarray:
    segment(source, target, model=model, client=client, options=SegmentOptions(**options))
    return np.asarray(zarr.open_group(str(target), mode="r")["labels/classes/0"])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_refused_with_its_place(
    tmp_path: Path, client: Client, tiny_model: Path, dtype: str, value: float
) -> None:
    image(tmp_path / "in.zarr", dtype, value=value)
    with pytest.raises(BlockError, match=f"is {value} at y=5, x=7 of level 0; .*--nonfinite"):
        run(tmp_path / "in.zarr", tmp_path / "out.zarr", client, tiny_model)


def test_background_is_read_as_the_low_end_and_labelled_0_whatever_the_blocks(
    tmp_path: Path, client: Client, tiny_model: Path
) -> None:
    pixels = image(tmp_path / "in.zarr")
    plain = np.where(np.isfinite(pixels), pixels, 0).astype("float32")
    zarr.create_array(tmp_path / "plain.zarr", data=plain, chunks=(32, 32))
    expected = run(tmp_path / "plain.zarr", tmp_path / "plain_out.zarr", client, tiny_model)
    assert any(expected[spot] for spot in SPOTS)
    expected[~np.isfinite(pixels)] = 0
    for number, block in enumerate([(), (64, 64), (32, 128)]):
        target = tmp_path / f"out{number}.zarr"
        labels = run(
            tmp_path / "in.zarr", target, client, tiny_model,
            nonfinite="background", block_shape=block, outputs=("classes", "probabilities"),
        )  # fmt: skip
        np.testing.assert_array_equal(labels, expected)
        chances = np.asarray(zarr.open_group(str(target), mode="r")["probabilities/0"])
        assert chances[:, 5, 7].tolist() == [255, 0, 0]
    assert verify(tmp_path / "in.zarr", target, windows=6).passed


def test_absent_chunks_of_nan_are_refused_with_advice_and_left_out_by_skip_empty(
    tmp_path: Path, client: Client, tiny_model: Path
) -> None:
    array = zarr.create_array(
        tmp_path / "in.zarr",
        shape=(SIZE, SIZE),
        chunks=(32, 32),
        dtype="float32",
        fill_value=np.nan,
    )
    array[32:96, 32:96] = np.random.default_rng(0).integers(0, 256, (64, 64))
    with pytest.raises(BlockError, match=r"at y=0, x=0 .*not stored: give --skip-empty"):
        run(tmp_path / "in.zarr", tmp_path / "no.zarr", client, tiny_model)
    labels = [
        run(
            tmp_path / "in.zarr",
            tmp_path / f"{n}.zarr",
            client,
            tiny_model,
            skip_empty=True,
            block_shape=block,
        )
        for n, block in enumerate([(), (32, 32)])
    ]
    assert labels[0].any()
    np.testing.assert_array_equal(labels[0], labels[1])
    array[40, 50] = np.nan
    with pytest.raises(BlockError, match=r"at y=40, x=50 .*--nonfinite background"):
        run(tmp_path / "in.zarr", tmp_path / "no2.zarr", client, tiny_model, skip_empty=True)


def test_what_a_mask_leaves_out_may_be_anything_and_a_halo_may_not(
    tmp_path: Path, client: Client, tiny_model: Path
) -> None:
    pixels = image(tmp_path / "in.zarr")
    mask = np.ones(pixels.shape, "uint8")
    for y, x in SPOTS:
        mask[y, x] = 0
    zarr.create_array(tmp_path / "mask.zarr", data=mask, chunks=(64, 64))
    options = {"mask": str(tmp_path / "mask.zarr")}
    labels = run(tmp_path / "in.zarr", tmp_path / "out.zarr", client, tiny_model, **options)
    assert labels.any()
    with pytest.raises(BlockError, match="at y=64, x=63 "):
        # The voxel is not in the region, but in the halo of its last block.
        run(tmp_path / "in.zarr", tmp_path / "no.zarr", client, tiny_model,
            roi={"y": (32, 64), "x": (40, 80)})  # fmt: skip


def test_integers_are_not_looked_at(tmp_path: Path, client: Client, tiny_model: Path) -> None:
    image(tmp_path / "in.zarr", "uint16")
    labels = [
        run(tmp_path / "in.zarr", tmp_path / f"{choice}.zarr", client, tiny_model, nonfinite=choice)
        for choice in ("refuse", "background")
    ]
    assert all(np.array_equal(a, b) for a, b in itertools.pairwise(labels))
