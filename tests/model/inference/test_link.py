"""A GPU gives the same predictions for tiles under way together as for one tile at a time."""

from __future__ import annotations

import gc
import inspect
import re
import weakref
from collections import deque
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_gpu import FakeEvent, FakeGpu, FakeStream, Race

from bigunet import Model, UNet, UNetConfig
from bigunet.errors import ModelError
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.inference.link import CudaGpu, Event, GpuStreams, Stream, StreamLink, link_to

GREY = GreyRange((0.0,), (100.0,))


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    module = UNet(UNetConfig(width=4, depth=1, classes=3)).initialise()
    return Model.of_module(module, ndim=2)


def noise(size: int, dtype: str = "u1", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (1, size, size)).astype(dtype)


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.sampled_from([20, 36, 44]), min_size=1, max_size=8),
    dtype=st.sampled_from(["u1", "u2", "i4", "f4", "f8", "?"]),
    precision=st.sampled_from(["fp32", "bf16"]),
    probabilities=st.booleans(),
)
def test_tiles_under_way_together_get_the_predictions_that_each_gets_alone(
    model: Model,
    sizes: list[int],
    dtype: str,
    precision: Literal["fp32", "bf16"],
    probabilities: bool,
) -> None:
    plain = Predictor(model, GREY, precision=precision)
    ahead = Predictor(model, GREY, precision=precision, link=StreamLink(FakeGpu()))
    inner = (slice(1, 5), slice(0, 4))
    under_way: deque[Any] = deque()
    predictions = []
    tiles = [noise(size, dtype, seed) for seed, size in enumerate(sizes)]
    for tile in tiles:
        under_way.append(ahead.begin(tile.copy(), inner, probabilities=probabilities))
        if len(under_way) == ahead.depth:
            predictions.append(under_way.popleft().result())
    predictions += [one.result() for one in under_way]
    for tile, one in zip(tiles, predictions):
        expected = plain.predict(tile, inner, probabilities=probabilities)
        np.testing.assert_array_equal(one.labels, expected.labels)
        assert (one.probabilities is None) == (not probabilities)
        if probabilities:
            np.testing.assert_array_equal(one.probabilities, expected.probabilities)


def test_the_results_are_valid_only_after_a_wait(model: Model) -> None:
    predictor = Predictor(model, GREY, link=StreamLink(FakeGpu()))
    pending = predictor.begin(noise(36), (slice(None),) * 2)
    early = pending.under_way.results[0].clone()
    first = pending.result()
    assert (early == 1).all()
    assert not (first.labels == 1).all()
    assert pending.seconds > 0
    np.testing.assert_array_equal(pending.result().labels, first.labels)


def test_memory_that_the_device_may_use_is_held_until_it_is_done(model: Model) -> None:
    gpu = FakeGpu()
    pending = Predictor(model, GREY, link=StreamLink(gpu)).begin(noise(36), (slice(None),) * 2)
    kept = [weakref.ref(one) for one in pending.under_way.held]
    # Memory of the pixels on host and device, of the labels, and of the flag that they are finite.
    assert [tuple(one().shape) for one in kept] == [(1, 36, 36), (1, 36, 36), (20, 20), ()]
    gpu._alive.clear()
    gpu._pinned.clear()
    gc.collect()
    assert all(one() is not None for one in kept)
    pending.wait()
    gc.collect()
    assert not any(one() is not None for one in kept)


def test_scores_that_are_not_finite_are_an_error_of_the_result(model: Model) -> None:
    predictor = Predictor(model, GREY, precision="bf16", link=StreamLink(FakeGpu()))
    assert predictor._module.head.weight is not model.module.head.weight
    with torch.no_grad():
        predictor._module.head.weight.fill_(torch.inf)
    pending = predictor.begin(noise(36), (slice(None),) * 2)
    with pytest.raises(ModelError, match="not finite in bf16"):
        pending.result()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        # Messages of pinned memory, of cuBLAS, and of cuDNN.
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
    ids=str,
)
def test_too_little_memory_is_a_memory_error(
    model: Model, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = FakeGpu()
    predictor = Predictor(model, GREY, link=StreamLink(gpu))

    def refuse(shape: Any, dtype: torch.dtype) -> torch.Tensor:
        raise error

    monkeypatch.setattr(gpu, "room", refuse)
    with pytest.raises(MemoryError, match=re.escape(str(error))):
        predictor.begin(noise(36), (slice(None),) * 2)
    predictor.free_memory()
    assert gpu.num_freed == 1


def test_other_errors_are_not_memory_errors(model: Model) -> None:
    gpu = FakeGpu()
    with pytest.raises(RuntimeError, match="broadcast"):
        Predictor(model, GREY, link=StreamLink(gpu)).begin(noise(36)[0], (slice(None),) * 2)


def test_the_fake_gpu_reveals_work_that_no_event_orders() -> None:
    gpu = FakeGpu()
    one, other, event = gpu.stream(), gpu.stream(), gpu.event()
    room = gpu.room((3,), torch.float32)
    with gpu.on(one):
        room.fill_(1)
    with gpu.on(other), pytest.raises(Race, match="still writing"):
        room.sum()
    event.record(one)
    other.wait_event(event)
    with gpu.on(other):
        room.sum()
    with gpu.on(one), pytest.raises(Race, match="still reading"):
        room.fill_(2)


def test_the_fake_gpu_has_the_methods_of_the_classes_of_torch() -> None:
    for fake, real in ((FakeStream, torch.cuda.Stream), (FakeEvent, torch.cuda.Event)):
        needed = [name for name in vars(Stream if fake is FakeStream else Event) if name[0] != "_"]
        assert needed
        assert all(hasattr(fake, name) and hasattr(real, name) for name in needed)
    for name in (name for name in vars(GpuStreams) if name[0] != "_"):
        ours, stand_in = getattr(CudaGpu, name), getattr(FakeGpu, name)
        assert [*inspect.signature(ours).parameters] == [*inspect.signature(stand_in).parameters]


def test_a_cpu_has_one_tile_under_way() -> None:
    assert link_to(torch.device("cpu")).depth == 1
