"""Tiled equals whole, through the whole run: reading, workers, writing, with real weights too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.whole_pass import whole_scores, wrong_labels

import bigunet
from bigunet import ClusterSpec, Model, SegmentOptions, load_model
from bigunet.bundled.mosaic import bundled_fields, mosaic


def write_array(path: Path, image: np.ndarray, chunks: tuple[int, ...]) -> None:
    zarr.create_array(str(path), shape=image.shape, chunks=chunks, dtype=image.dtype)[:] = image


def stored_labels(path: Path) -> np.ndarray:
    return zarr.open_array(str(path / "labels/classes/0"), mode="r")[:]


def reference(model: Model, image: np.ndarray):
    """Scores of one pass, with the percentiles of the whole image."""
    normalisation = model.description.normalisation
    if normalisation.kind == "fixed":
        return whole_scores(model, image[np.newaxis], normalisation.low, normalisation.high)
    low, high = np.percentile(image, (normalisation.low, normalisation.high), method="inverted_cdf")
    return whole_scores(model, image[np.newaxis], low, high if high > low else low + 1)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    chunks=st.tuples(st.integers(7, 97), st.integers(7, 97)),
    block=st.tuples(st.integers(32, 200), st.integers(32, 200)),
    seed=st.integers(0, 9),
)
def test_any_shape_chunking_and_block_gives_the_labels_of_one_pass(
    shape, chunks, block, seed, tiny_model: Path, client: Client, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("law")
    image = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    write_array(folder / "in.zarr", image, chunks)
    model = load_model(tiny_model)
    options = SegmentOptions(block_shape=block, tile_shape=(64, 64))
    bigunet.segment(
        folder / "in.zarr", folder / "out.zarr", model=model, options=options, client=client
    )
    labels = stored_labels(folder / "out.zarr")
    assert labels.shape == shape
    assert wrong_labels(labels, reference(model, image)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_trained_weights_on_real_images_give_the_labels_of_one_pass(workers, tmp_path) -> None:
    model = load_model("nuclei")
    image = mosaic(bundled_fields(), (1303, 1177))
    write_array(tmp_path / "in.zarr", image, (217, 331))
    bigunet.segment(
        tmp_path / "in.zarr",
        tmp_path / "out.zarr",
        options=SegmentOptions(block_shape=(512, 384), tile_shape=(300, 300), precision="fp32"),
        client=ClusterSpec(kind="local", workers=workers),
    )
    labels = stored_labels(tmp_path / "out.zarr")
    scores = reference(model, image)
    assert wrong_labels(labels, scores) == 0
    assert 0.02 < (labels == 1).mean() < 0.8
    assert bigunet.verify(tmp_path / "in.zarr", tmp_path / "out.zarr").passed


@pytest.mark.slow
def test_the_installed_command_gives_the_labels_of_one_pass(tiny_model, tmp_path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (401, 517)).astype(np.uint16)
    write_array(tmp_path / "in.zarr", image, (100, 90))
    command = [
        sys.executable, "-m", "bigunet_cli.main", "segment", str(tmp_path / "in.zarr"),
        str(tmp_path / "out.zarr"), "--model", str(tiny_model), "--block-shape", "128,256",
        "--workers", "2", "--quiet",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    scores = reference(load_model(tiny_model), image)
    assert wrong_labels(stored_labels(tmp_path / "out.zarr"), scores) == 0
