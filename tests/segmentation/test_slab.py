"""Swept tiles through the whole run: the labels of tiles at once, with less recompute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import zarr
from distributed import Client
from forward import model_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loads import LOADS
from support.whole_pass import whole_scores, wrong_labels
from torch import Tensor

import bigunet
from bigunet import SegmentOptions, load_model
from bigunet.errors import OptionError, StoppedError
from bigunet.io.files.opening import open_image
from bigunet.io.output.publish import read_provenance
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.sweep import Sweep
from bigunet.segmentation.plan.plan import make_plan


def stored(path: Path, name: str = "labels/classes") -> np.ndarray:
    return np.asarray(zarr.open_array(str(path / name / "0"), mode="r")[:])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, write_model) -> dict[int, Path]:
    """A network for each number of axes."""
    folder = tmp_path_factory.mktemp("models")
    return {
        2: write_model(folder / "plane.safetensors", depth=3, width=3),
        3: write_model(folder / "volume.safetensors", ndim=3, depth=1, width=3),
    }


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    shape=st.lists(st.integers(1, 40), min_size=2, max_size=3),
    block=st.integers(16, 48),
    tile=st.integers(1, 48),
    slab=st.integers(1, 40),
)
def test_any_slab_block_and_tile_gives_the_labels_of_one_pass(
    shape, block, tile, slab, models, write_image, client: Client, tmp_path_factory
) -> None:
    folder, ndim = tmp_path_factory.mktemp("slab"), len(shape)
    image = write_image(folder / "in.zarr", "zyx"[-ndim:], shape=tuple(shape))
    options = SegmentOptions(block_shape=(block,) * ndim, tile_shape=(tile,) * ndim, slab=slab)
    report = bigunet.segment(
        folder / "in.zarr", folder / "out.zarr", model=models[ndim], options=options, client=client
    )
    expected = whole_scores(load_model(models[ndim]), image[np.newaxis], 0, 255)
    assert wrong_labels(stored(folder / "out.zarr"), expected) == 0
    assert report.backend == "torch"


def test_a_sweep_writes_the_bytes_of_tiles_at_once(
    models, write_image, client: Client, tmp_path: Path
) -> None:
    write_image(tmp_path / "in.zarr", "zyx", shape=(50, 40, 40))
    for name, slab in (("at-once", 0), ("swept", 6)):
        bigunet.segment(
            tmp_path / "in.zarr", tmp_path / name, model=models[3], client=client, slab=slab,
            backend="torch", outputs=("classes", "probabilities"), block_shape=(48, 32, 32),
        )  # fmt: skip
    assert (stored(tmp_path / "at-once") == stored(tmp_path / "swept")).all()
    at_once, swept = (
        stored(tmp_path / name, "probabilities").astype(int) for name in ("at-once", "swept")
    )
    assert abs(at_once - swept).max() <= 1
    assert read_provenance(str(tmp_path / "swept"))["options"]["slab"] == 6
    assert bigunet.verify(tmp_path / "in.zarr", tmp_path / "swept").labels_wrong == 0


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    zarr.create_array(str(tmp_path / "in.zarr"), shape=(512,) * 3, chunks=(64,) * 3, dtype="u1")
    return tmp_path / "in.zarr"


@pytest.mark.parametrize(
    ("gigabytes", "most"),
    [
        (2, 1.5),  # without sweeps, 9.3
        (3, 1.14),  # 2.4
        (4, 1.07),  # 1.8
        (6, 1.001),  # 1.5
    ],
)
def test_in_3d_hardly_anything_is_computed_twice(volume: Path, gigabytes: int, most: float) -> None:
    options = SegmentOptions(memory_limit=gigabytes * 10**9, precision="bf16")
    plan = bigunet.plan(volume, model=model_of(LOADS["volume"]), options=options)
    recompute = plan.recompute()
    assert recompute is not None
    assert 1 <= recompute <= most
    block = plan.grid.box((0, 0, 0))
    held = plan.pass_bytes(next(plan.tiling.tiles(block)).input.shape)
    in_work = min(plan.grid.num_blocks, plan.share.blocks_in_work(plan.block_memory_bytes()))
    assert held + in_work * plan.block_memory_bytes() <= plan.share.worker_bytes


def test_each_worker_gets_a_block(volume: Path) -> None:
    model = model_of(LOADS["volume"])
    for workers in (1, 3, 8):
        plan = make_plan(
            open_image(volume), model, SegmentOptions(), workers=workers, memory_bytes=10**11
        )
        assert plan.grid.num_blocks >= workers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slab": 8, "tta": True}, "--slab is for bigunet's own U-Nets, without --tta"),
        ({"slab": 8, "backend": "compile"}, "computed by torch, not by compile"),
        ({"slab": -1}, "slab -1: give a number of planes, 0, or auto"),
    ],
)
def test_slabs_that_cannot_be_are_refused(volume: Path, options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        bigunet.plan(volume, model=model_of(LOADS["volume"]), **options)


@pytest.mark.parametrize(
    "options", [{"tta": True}, {"backend": "compile"}, {"tile_shape": (64,) * 3}]
)
def test_what_cannot_be_swept_is_not(volume: Path, options: dict) -> None:
    plan = bigunet.plan(volume, model=model_of(LOADS["volume"]), **options)
    assert plan.slab == 0


def test_a_tile_that_is_swept_ends_at_its_next_slab_when_it_is_abandoned(
    models: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(models[2])
    predictor = Predictor(model, GreyRange((0,), (255,)), slab=8)
    whole_sweep, seen = Sweep.scores, []

    def abandoned_in_the_first_slab(
        self: Sweep, slabs: Iterable[Tensor], shape: Sequence[int]
    ) -> Iterator[Tensor]:
        def counted() -> Iterator[Tensor]:
            for slab in slabs:
                seen.append(slab.shape)
                predictor.abandon()
                yield slab

        return whole_sweep(self, counted(), shape)

    monkeypatch.setattr(Sweep, "scores", abandoned_in_the_first_slab)
    shape = model.receptive_field.input_shape((64, 8))
    with pytest.raises(StoppedError):
        predictor.scores(np.zeros((1, *shape), np.uint8))
    assert len(seen) == 1
