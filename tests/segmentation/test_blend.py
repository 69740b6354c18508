"""Networks that cannot be exact: blended over one grid of the image, and said to be so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from distributed import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.onnx_graphs import Graph, noise
from torch import nn

import bigunet
from bigunet import Model, Normalisation, SegmentOptions
from bigunet.errors import InexactError, OptionError
from bigunet.io.output.publish import read_provenance

FIXED = Normalisation("fixed", 0, 255)
TILE = (24, 16)


def network() -> nn.Module:
    """Its scores depend on the whole tile."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.InstanceNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1)
    ).eval()


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.of_module(network(), ndim=2, normalisation=FIXED, blend=True)


def write_image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    voxels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    zarr.create_array(str(path), data=voxels, dimension_names=tuple("zyx"[-len(shape) :]))
    return voxels


def stored(path: Path, name: str = "labels/classes") -> np.ndarray:
    return np.asarray(zarr.open_array(str(path / name / "0"), mode="r")[:])


def blended(image: np.ndarray) -> np.ndarray:
    """Scores of the whole image, as nnU-Net places tiles: written anew, in float64."""
    pad = [max(t - n, 0) for t, n in zip(TILE, image.shape)]
    image = np.pad(image, [((p) // 2, p - p // 2) for p in pad], mode="reflect")
    ways, sums = [], np.zeros((4, *image.shape))
    for size, tile in zip(image.shape, TILE):
        count = int(np.ceil((size - tile) / (tile // 2))) + 1
        step = (size - tile) / max(count - 1, 1)
        ways.append([int(np.floor(step * k + 0.5)) for k in range(count)])
    weights = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) * 8 / n) ** 2) for n in TILE]
    weight = np.multiply.outer(*weights)
    for y in ways[0]:
        for x in ways[1]:
            where = (slice(y, y + TILE[0]), slice(x, x + TILE[1]))
            tile = torch.from_numpy(image[where] / 255.0)[None, None]
            with torch.inference_mode():
                scores = network().double()(tile)[0].numpy()
            sums[(slice(0, 3), *where)] += scores * weight
            sums[(3, *where)] += weight
    inside = tuple(slice(p // 2, n - (p - p // 2)) for p, n in zip(pad, image.shape))
    return (sums[:3] / sums[3])[(slice(None), *inside)]


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    shape=st.tuples(st.integers(12, 50), st.integers(9, 50)),
    blocks=st.lists(st.tuples(st.integers(16, 60), st.integers(16, 60)), min_size=2, max_size=2),
)
def test_any_blocks_give_the_bytes_of_the_blended_whole(
    shape, blocks, model: Model, client: Client, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("blend")
    image = write_image(folder / "in.zarr", shape)
    made = []
    for number, block in enumerate(blocks):
        output = folder / f"{number}.zarr"
        report = bigunet.segment(
            folder / "in.zarr", output, model=model, client=client, blend=True, tile_shape=TILE,
            block_shape=block, outputs=("classes", "probabilities"), no_report=True,
        )  # fmt: skip
        grid, tiling = report.plan.grid, report.plan.tiling
        boxes = [grid.box(tuple(map(int, i))) for i in np.ndindex(*grid.shape)]
        assert report.tiles_computed == sum(map(tiling.num_tiles, boxes))
        assert report.bytes_read == report.plan.bytes_read()
        made.append(stored(output).tobytes() + stored(output, "probabilities").tobytes())
    assert made[0] == made[1]
    scores = np.sort(blended(image), axis=0)
    firm = scores[-1] - scores[-2] > 1e-4 * scores.std()
    assert (stored(folder / "0.zarr") == blended(image).argmax(axis=0))[firm].all()


def test_the_output_and_its_check_say_that_it_is_blended(
    model: Model, client: Client, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.zarr", tmp_path / "out.zarr"
    write_image(source, (2, 40, 30))
    options = SegmentOptions(blend=True, tile_shape=TILE, block_shape=(32, 32))
    report = bigunet.segment(source, output, model=model, client=client, options=options)
    method = "blended, not exact: overlapping tiles of 24 × 16 with Gaussian weights"
    assert read_provenance(str(output))["method"] == method
    assert report.to_dict()["method"] == method
    assert f"the labels are {method}" in report.to_dict()["warnings"]
    assert "blended, not exact" in Path(report.page).read_text()
    checked = bigunet.verify(source, output, model=model, windows=4)
    assert checked.passed
    assert not checked.exact
    labels = zarr.open_array(str(output / "labels/classes/0"), mode="r+")
    labels[...] = (labels[...] + 1) % 3
    assert not bigunet.verify(source, output, model=model, windows=4).passed


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, InexactError, r"cannot be exact: .* give --blend and --tile-shape"),
        ({"blend": True}, OptionError, r"give --tile-shape, such as 64,64"),
        ({"blend": True, "tile_shape": (16,)}, OptionError, r"has 1 axes; the network 2"),
        ({"blend": True, "tile_shape": (1, 1)}, OptionError, r"refuses a tile of 1 × 1 \("),
        ({"blend": True, "tile_shape": TILE, "backend": "openvino"}, OptionError, "openvino"),
    ],
)
def test_what_cannot_be_blended_is_refused(
    model: Model, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    write_image(tmp_path / "in.zarr", (40, 30))
    with pytest.raises(error, match=message):
        bigunet.plan(tmp_path / "in.zarr", model=model, **options)


@pytest.mark.parametrize("other", ["tta", "tune"])
def test_options_that_change_tiles_do_not_go_with_a_blend(other: str) -> None:
    with pytest.raises(OptionError, match=f"--blend and --{other}"):
        SegmentOptions(blend=True, **{other: True})


def test_the_command_blends_an_onnx_file_and_says_so(bigunet: Any, tmp_path: Path) -> None:
    graph = Graph()
    name = graph.add("Conv", "image", noise(4, 1, 3, 3), pads=[1, 1, 1, 1])
    name = graph.add("InstanceNormalization", name, noise(4), noise(4))
    graph.add("Conv", name, noise(2, 4, 1, 1))
    file = str(graph.write(tmp_path / "net.onnx"))
    write_image(tmp_path / "in.zarr", (40, 30))
    words = ["segment", tmp_path / "in.zarr", tmp_path / "out.zarr", "--model", file]
    refused = bigunet(*words)
    assert refused.code == 1
    assert "instance_norm" in refused.messages[-1]
    assert "give --blend and --tile-shape" in refused.messages[-1]
    outcome = bigunet(*words, "--blend", "--tile-shape", "24,16")
    assert outcome.code == 0
    method = "blended, not exact: overlapping tiles of 24 × 16 with Gaussian weights"
    assert f"Warning: the labels are {method}" in outcome.messages
    assert any("does not say how grey values" in line for line in outcome.messages)
    assert f"labels: {method}" in outcome.messages
    checked = bigunet("verify", tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert "compared with the blended whole, which is not exact" in checked.out
