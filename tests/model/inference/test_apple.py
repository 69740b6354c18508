"""What can be known of Apple's GPUs without one: operators, number formats, choices, refusals."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchgen
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from bigunet import ClusterSpec, Model, SegmentOptions, UNet, UNetConfig
from bigunet.errors import ClusterError, ModelError, OptionError
from bigunet.model.description import ModelDescription, default_classes
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.hardware import device_of, native_precision
from bigunet.model.inference.inputs import GreyRange, NetworkInputs
from bigunet.model.inference.like_cpu import check_like_cpu
from bigunet.model.inference.link import CopyLink, link_to
from bigunet.segmentation.plan.worker_choice import gpu_bytes, settled
from bigunet.segmentation.run.device import DeviceChoices
from bigunet.training.run.first_network import choose_device

FUNCTIONS = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
ANYWHERE = {
    "CompositeExplicitAutograd",
    "CompositeExplicitAutogradNonFunctional",
    "CompositeImplicitAutograd",
}
APPLE = torch.device("mps")
GREY = GreyRange((0.0,), (200.0,))


@functools.cache
def kernels() -> dict[str, set[str]]:
    """For each operator of torch, the kinds of devices that it has a kernel for."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(FUNCTIONS.read_text(), loader)
    of: dict[str, Any] = {one["func"].partition("(")[0]: one for one in entries}

    def keys(name: str) -> set[str]:
        entry = of[name]
        if "structured_delegate" in entry:
            return keys(entry["structured_delegate"])
        lists = entry.get("dispatch", {"CompositeImplicitAutograd": ""})
        return {key.strip() for one in lists for key in one.split(",")}

    return {name: keys(name) for name in of}


class Recorder(TorchDispatchMode):
    """Keeps the names of the operators that a device would be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        name = func.name().removeprefix("aten::")
        if "MPS" not in kernels()[name]:
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        self.names.add(name)
        return func(*args, **(kwargs or {}))


def unet(ndim: int, **numbers: Any) -> Model:
    torch.manual_seed(0)
    config = UNetConfig(ndim=ndim, width=4, depth=1, classes=3, **numbers)
    description = ModelDescription(
        name="random",
        architecture={"name": "unet", "config": config.to_dict()},
        classes=default_classes(3),
        channels=("0",),
    )
    return Model(
        module=UNet(config).initialise().eval(),
        description=description,
        digest="",
        receptive_field=config.receptive_field(),
    )


def noise(model: Model, dtype: str = "u1") -> np.ndarray:
    shape = model.receptive_field.input_shape((8,) * model.ndim)
    return np.random.default_rng(0).integers(0, 200, (1, *shape)).astype(dtype)


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch says that it has an Apple GPU, and no other; nothing can be computed on it."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_the_list_of_kernels_is_that_of_torch() -> None:
    assert "MPS" not in kernels()["slow_conv_transpose3d"]
    assert "MPS" in kernels()["_mps_convolution"]
    assert "MPS" in kernels()["aminmax"]  # by its structured delegate


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_each_operator_of_a_forward_pass_has_a_kernel_for_apple(
    ndim: int, batch_norm: bool
) -> None:
    model = unet(ndim, batch_norm=batch_norm)
    predictor = Predictor(model, GREY)
    with Recorder() as recorder:
        predictor.predict(noise(model), (slice(None),) * ndim, probabilities=True)
    assert {"convolution", "maximum"} <= recorder.names
    lacking = {name for name in recorder.names if not kernels()[name] & {"MPS", *ANYWHERE}}
    assert lacking == set()


@settings(deadline=None, max_examples=40)
@given(
    low=st.floats(-1e4, 1e4),
    width=st.floats(1, 1e5),
    dtype=st.sampled_from(["u1", "u2", "i4", "u4", "i8", "f4", "f8", "?"]),
    limit=st.none() | st.just(10.0),
    seed=st.integers(0, 99),
)
def test_the_inputs_of_an_apple_gpu_are_those_of_the_cpu_and_have_no_fp64(
    low: float, width: float, dtype: str, limit: float | None, seed: int
) -> None:
    grey = GreyRange((low,), (low + width,), (limit,), (None,))
    tile = np.random.default_rng(seed).integers(0, 2**31, (1, 5, 4)).astype(dtype)
    inputs = [NetworkInputs(grey, ndim=2, device=device) for device in (torch.device("cpu"), APPLE)]
    here = inputs[0].normalised(inputs[0].prepared(tile))
    sent = inputs[1].prepared(tile)
    assert sent.dtype == torch.float32
    assert torch.equal(inputs[1].normalised(sent), here)


def test_a_link_that_copies_gives_the_predictions_of_the_cpu() -> None:
    model = unet(2)
    tile, inner = noise(model), (slice(1, 5), slice(2, 6))
    plain = Predictor(model, GREY).predict(tile, inner, probabilities=True)
    copied = Predictor(model, GREY, link=CopyLink(torch.device("cpu")))
    prediction = copied.predict(tile, inner, probabilities=True)
    assert np.array_equal(prediction.labels, plain.labels)
    assert np.array_equal(prediction.probabilities, plain.probabilities)
    assert isinstance(link_to(APPLE), CopyLink)
    assert copied.depth == 1
    copied.free_memory()


def test_scores_of_another_device_must_be_those_of_the_cpu() -> None:
    model = unet(2)
    check_like_cpu(Predictor(model, GREY), model, GREY)
    other = unet(2)
    with torch.no_grad():
        next(iter(other.module.parameters())).mul_(1.1)
    with pytest.raises(OptionError, match=r"cpu gives other scores than the CPU: .*--device cpu"):
        check_like_cpu(Predictor(other, GREY), model, GREY)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_lower_precision_passes_the_comparison_with_the_cpu(precision: Any) -> None:
    model = unet(2)
    check_like_cpu(Predictor(model, GREY, precision=precision), model, GREY)


def test_auto_takes_the_apple_gpu_in_fp32_and_the_memory_of_the_worker(mac: None) -> None:
    assert device_of("auto") == device_of("mps") == "mps"
    assert device_of("cpu") == "cpu"
    assert native_precision("mps") == "fp32"
    assert DeviceChoices("auto", "auto", "fp32").resolved_device() == "mps"
    workers = settled(None, "mps")
    assert isinstance(workers, ClusterSpec)
    assert workers.kind == "local"
    assert gpu_bytes(workers, "mps") == ()


def test_without_an_apple_gpu_auto_takes_another_device_and_mps_is_refused() -> None:
    assert device_of("auto") != "mps"
    with pytest.raises(OptionError, match=r"^device mps: torch sees no Apple GPU .* --device cpu$"):
        device_of("mps")
    with pytest.raises(ClusterError, match="has no Apple GPU"):
        settled(ClusterSpec("cuda"), "mps")
    with pytest.raises(OptionError, match="not with a GPU"):
        SegmentOptions(backend="openvino", device="mps")


def test_training_takes_an_apple_gpu_only_if_asked_and_in_one_process(mac: None) -> None:
    assert choose_device("auto", 0).type == "cpu"
    assert choose_device("mps", 0).type == "mps"
    with pytest.raises(ClusterError, match="--processes 1"):
        choose_device("mps", 1)


class _Refusing(torch.nn.Module):
    """Stands for a network with an operator that Metal does not have."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError(
            "The operator 'aten::x' is not currently implemented for the MPS device. Please open"
        )


@pytest.fixture
def refusing() -> Predictor:
    predictor = Predictor(unet(2), GREY)
    predictor._module = _Refusing()
    return predictor


def test_an_operator_that_metal_lacks_is_one_line_that_says_what_to_do(
    refusing: Predictor,
) -> None:
    tile = noise(unet(2))
    with pytest.raises(NotImplementedError):
        refusing.scores(tile)
    refusing.device = APPLE
    inner = (slice(None), slice(None))
    with pytest.raises(ModelError, match=r"aten::x.*--device cpu, or set PYTORCH_ENABLE_MPS"):
        refusing.predict(tile, inner)
