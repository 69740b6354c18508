"""Test-time augmentation through the whole run: exact, recorded, verified, never mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.turned_pass import EIGHT, FOUR, turned_probabilities
from support.whole_pass import wrong_labels

import bigunet
from bigunet import SegmentOptions, load_model
from bigunet.errors import ResumeError
from bigunet.io.output.publish import read_provenance

TTA = SegmentOptions(tta=True, block_shape=(48, 48), tile_shape=(32, 32))


def stored(path: Path, name: str = "labels/classes") -> np.ndarray:
    return np.asarray(zarr.open_array(str(path / name / "0"), mode="r")[:])


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    shape=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    block=st.tuples(st.integers(32, 80), st.integers(32, 80)),
    tile=st.tuples(st.integers(8, 64), st.integers(8, 64)),
)
def test_any_shape_and_block_gives_the_labels_of_turned_whole_passes(
    shape, block, tile, deep_model: Path, write_image, client: Client, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("tta")
    image = write_image(folder / "in.zarr", shape=shape)
    bigunet.segment(
        folder / "in.zarr",
        folder / "out.zarr",
        model=deep_model,
        options=SegmentOptions(tta=True, block_shape=block, tile_shape=tile),
        client=client,
    )
    expected = turned_probabilities(load_model(deep_model), image[np.newaxis], 0, 255)
    assert wrong_labels(stored(folder / "out.zarr"), expected.log()) == 0


@pytest.fixture(scope="module")
def deep_model(tmp_path_factory: pytest.TempPathFactory, write_model) -> Path:
    """A model deep enough that its tiles have a remainder."""
    folder = tmp_path_factory.mktemp("models")
    return write_model(folder / "deep.safetensors", depth=3, width=3)


def test_probabilities_are_the_mean_of_those_of_every_turn(
    deep_model: Path, write_image, client: Client, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "in.zarr", "tyx", shape=(2, 60, 70))
    options = SegmentOptions(
        outputs=("classes", "probabilities"), tta=True, block_shape=(48, 48), tile_shape=(32, 32)
    )
    bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=deep_model, options=options,
        client=client,
    )  # fmt: skip
    probabilities = stored(tmp_path / "out.zarr", "probabilities")
    labels = stored(tmp_path / "out.zarr")
    for t in range(2):
        mean = turned_probabilities(load_model(deep_model), image[t][np.newaxis], 0, 255)
        assert np.abs(probabilities[t] - 255 * mean.numpy()).max() <= 0.5 + 1e-2
        assert wrong_labels(labels[t], mean.log()) == 0


@pytest.mark.parametrize(
    ("scale", "turns"),
    [
        ((0.5, 0.5), EIGHT),
        ((0.5, 0.5001), EIGHT),  # equal within the error of measurement
        ((0.5, 0.6), FOUR),  # a quarter turn would stretch what the network knows
    ],
)
def test_voxels_that_are_not_square_are_mirrored_only(
    scale, turns, tiny_model: Path, write_image, client: Client, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "in.zarr", shape=(50, 60), metadata={"scale": scale})
    report = bigunet.segment(
        tmp_path / "in.zarr", tmp_path / "out.zarr", model=tiny_model, options=TTA, client=client
    )
    assert report.to_dict()["turns"] == len(turns)
    expected = turned_probabilities(load_model(tiny_model), image[np.newaxis], 0, 255, turns=turns)
    assert wrong_labels(stored(tmp_path / "out.zarr"), expected.log()) == 0


def test_a_volume_is_turned_about_z_only(
    write_model, write_image, client: Client, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "3d.safetensors", ndim=3, depth=1, width=2)
    image = write_image(
        tmp_path / "in.zarr", "zyx", shape=(6, 30, 22), metadata={"scale": (2.0, 0.5, 0.5)}
    )
    bigunet.segment(
        tmp_path / "in.zarr",
        tmp_path / "out.zarr",
        model=model,
        options=SegmentOptions(tta=True, block_shape=(8, 16, 16)),
        client=client,
    )
    expected = turned_probabilities(load_model(model), image[np.newaxis], 0, 255)
    assert wrong_labels(stored(tmp_path / "out.zarr"), expected.log()) == 0


def test_the_output_records_its_turns_and_verifies(
    deep_model: Path, write_image, client: Client, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    write_image(source, shape=(150, 130))
    plain = tmp_path / "plain.zarr"
    bigunet.segment(source, target, model=deep_model, options=TTA, client=client)
    bigunet.segment(source, plain, model=deep_model, client=client)
    made = read_provenance(str(target), "")
    assert (made["options"]["tta"], made["turns"]) == (True, 8)
    assert read_provenance(str(plain), "")["turns"] == 1
    report = bigunet.verify(source, target, windows=2)
    assert report.passed
    assert report.seams
    assert (stored(target) != stored(plain)).any()
    # Labels without turns differ from those with turns.
    zarr.open_array(str(target / "labels/classes/0"), mode="r+")[:] = stored(plain)
    assert not bigunet.verify(source, target, windows=2).passed


@pytest.mark.parametrize("first", [True, False])
def test_a_run_is_not_resumed_with_other_turns(
    first, tiny_model: Path, write_image, client: Client, tmp_path: Path
) -> None:
    write_image(tmp_path / "in.zarr")
    run = {"model": tiny_model, "client": client}
    places = (tmp_path / "in.zarr", tmp_path / "out.zarr")
    bigunet.segment(*places, **run, options=SegmentOptions(tta=first))
    with pytest.raises(ResumeError, match=f"option tta was {first}, is {not first}"):
        bigunet.segment(*places, **run, options=SegmentOptions(tta=not first), existing="resume")
    bigunet.segment(*places, **run, options=SegmentOptions(tta=first), existing="resume")


def test_a_plan_counts_every_turn(deep_model: Path, write_image, tmp_path: Path) -> None:
    write_image(tmp_path / "in.zarr", shape=(96, 96))
    plain = SegmentOptions(block_shape=(48, 48), tile_shape=(32, 32))
    once = bigunet.plan(tmp_path / "in.zarr", model=deep_model, options=plain).to_dict()
    turned = bigunet.plan(tmp_path / "in.zarr", model=deep_model, options=TTA).to_dict()
    assert (once["turns"], turned["turns"]) == (1, 8)
    # Each pass has a tile of the same size. Only the pixels that are read grow, by the remainder.
    assert turned["flops"] == 8 * once["flops"]
    assert turned["recompute"] == pytest.approx(once["recompute"], rel=0.2)
    assert turned["tile"] == [n + 4 for n in once["tile"]]
    assert turned["bytes_read"] > once["bytes_read"]


def test_options_come_back_from_json_also_those_of_older_outputs() -> None:
    assert SegmentOptions.from_dict(TTA.to_dict()) == TTA
    older = {name: value for name, value in TTA.to_dict().items() if name != "tta"}
    assert not SegmentOptions.from_dict(older).tta


def test_labels_inside_a_plane_of_one_voxel_have_a_class(
    deep_model: Path, write_image, client: Client, tmp_path: Path
) -> None:
    image = write_image(tmp_path / "in.zarr", shape=(1, 1))
    bigunet.segment(tmp_path / "in.zarr", model=deep_model, options=TTA, client=client)
    mean = turned_probabilities(load_model(deep_model), image[np.newaxis], 0, 255)
    assert stored(tmp_path / "in.zarr").tolist() == torch.argmax(mean, dim=0).tolist()
