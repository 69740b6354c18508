"""Law: the steps of a package give what plain numpy gives on the whole image."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bigunet.errors import ModelError
from bigunet.geometry import Box
from bigunet.io.images.all_voxels import AllVoxels
from bigunet.model.inference.inputs import NetworkInputs
from bigunet.model.normalisation import Normalisation
from bigunet.model.packages import format_04
from bigunet.model.packages.package import PackageAxis, PackageTensor, ProcessingStep
from bigunet.model.packages.preprocessing import normalisation_of
from bigunet.model.steps import Affine
from bigunet.segmentation.plan.pointwise import grey_range_of
from bigunet.segmentation.plan.whole_image import measured_steps

_NUMBERS = st.floats(-3, 3).filter(lambda v: abs(v) > 0.1)


class _Held:
    """An image in memory, read in chunks."""

    url, axes, scale_um, chunk = "image", ("y", "x"), None, (5, 7)

    def __init__(self, voxels: np.ndarray) -> None:
        self.voxels, self.shape, self.dtype = voxels, voxels.shape[1:], voxels.dtype
        self.num_channels = len(voxels)

    def read(self, box: Box) -> np.ndarray:
        return self.voxels[(slice(None), *(slice(a, b) for a, b in zip(box.start, box.stop)))]


def tensor(steps: list[ProcessingStep], axes: str = "bcyx") -> PackageTensor:
    kinds: dict[str, Any] = {"b": "batch", "c": "channel"}
    named = [PackageAxis(kinds.get(letter, "space"), kinds.get(letter, letter)) for letter in axes]
    return PackageTensor("raw", tuple(named), tuple(steps))


@st.composite
def chains(draw: st.DrawFn) -> list[ProcessingStep]:
    steps = []
    for kind in draw(
        st.lists(st.sampled_from(["linear", "fixed", "zero", "range", "clip"]), max_size=3)
    ):
        eps = draw(st.sampled_from([1e-6, 0.01]))
        axes = draw(st.sampled_from([["y", "x"], ["channel", "y", "x"], ["x", "y", "batch"]]))
        if kind == "linear":
            # Negative gains are legal.
            numbers = {"gain": draw(_NUMBERS), "offset": draw(st.floats(-5, 5))}
            steps.append(ProcessingStep("scale_linear", numbers))
        elif kind == "fixed":
            numbers = {"mean": draw(st.floats(-9, 9)), "std": draw(st.floats(0.5, 9)), "eps": eps}
            steps.append(ProcessingStep("fixed_zero_mean_unit_variance", numbers))
        elif kind == "zero":
            steps.append(ProcessingStep("zero_mean_unit_variance", {"axes": axes, "eps": eps}))
        elif kind == "range":
            ends = {
                "min_percentile": draw(st.floats(0, 40)),
                "max_percentile": draw(st.floats(60, 100)),
            }
            steps.append(ProcessingStep("scale_range", {"axes": ["y", "x"], "eps": eps, **ends}))
        else:
            least = draw(st.floats(-2, 2))
            steps.append(
                ProcessingStep("clip", {"min": least, "max": least + draw(st.floats(0.5, 9))})
            )
    return steps


def plain(image: np.ndarray, steps: list[ProcessingStep]) -> np.ndarray:
    """What bioimageio.core computes, in float64 on the whole image."""
    x = image.astype(np.float64)
    for step in steps:
        n = step.numbers
        axes = (0, 1, 2) if "channel" in n.get("axes", ()) else (1, 2)
        if step.name == "scale_linear":
            x = x * n["gain"] + n["offset"]
        elif step.name == "fixed_zero_mean_unit_variance":
            x = (x - n["mean"]) / (n["std"] + n["eps"])
        elif step.name == "zero_mean_unit_variance":
            x = (x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + n["eps"])
        elif step.name == "scale_range":
            ends = (n["min_percentile"], n["max_percentile"])
            low, high = np.percentile(x, ends, axis=axes, keepdims=True)
            x = (x - low) / (high - low + n["eps"])
        else:
            x = x.clip(n["min"], n["max"])
    return x


@given(chains(), st.sampled_from(["u1", "u2", "i4", "f4"]), st.integers(0, 99))
def test_steps_are_those_of_the_whole_image(steps, dtype, seed) -> None:
    random = np.random.default_rng(seed)
    image = (random.gamma(2, 20, (2, 11, 13)) + np.array([[[0]], [[9]]])).astype(dtype)
    normalisation = normalisation_of(tensor(steps))
    voxels = AllVoxels(_Held(image), Box((0, 0), (11, 13)))
    grey = grey_range_of(measured_steps(normalisation.steps, voxels))
    inputs = NetworkInputs(grey, ndim=2, device=torch.device("cpu"))
    computed = inputs.normalised(inputs.prepared(image)).numpy()
    expected = plain(image, steps)
    np.testing.assert_allclose(computed, expected, atol=2e-5 * max(1, np.abs(expected).max()))


@given(chains())
def test_a_description_with_steps_goes_through_json(steps) -> None:
    made = normalisation_of(tensor(steps))
    assert Normalisation.from_dict(made.to_dict()) == made


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (ProcessingStep("binarize", {"threshold": 0.5}), "binarize"),
        (ProcessingStep("custom", {}), "custom"),
        (ProcessingStep("ensure_dtype", {"dtype": "uint8"}), "rounds grey values"),
        (ProcessingStep("zero_mean_unit_variance", {"axes": ["x"]}), "not along all of y, x"),
        (ProcessingStep("scale_range", {"reference_tensor": "b", "axes": "yx"}), "another tensor"),
        (ProcessingStep("clip", {"min_percentile": 1}), "clips to percentiles"),
        (ProcessingStep("scale_linear", {"gain": [1, 2]}), "without an axis"),
        (ProcessingStep("scale_linear", {"gain": 0}), "multiplies by 0"),
        (ProcessingStep("scale_linear", {"gain": "a"}), "should be a number"),
        (ProcessingStep("scale_linear", {"gain": [1, 2], "axis": "x"}), "differs along axis"),
    ],
    ids=lambda value: value.name if isinstance(value, ProcessingStep) else "",
)
def test_what_cannot_be_mapped_is_refused_by_name(step, message) -> None:
    with pytest.raises(ModelError, match=message):
        normalisation_of(tensor([step]))


def test_format_04_states_fixed_numbers_for_each_channel() -> None:
    numbers = {"mode": "fixed", "axes": "yx", "mean": [1.0, 2.0], "std": [4.0, 8.0], "eps": 0.0}
    made = normalisation_of(tensor([ProcessingStep("zero_mean_unit_variance", numbers)]))
    image = np.arange(2 * 6, dtype=np.float32).reshape(2, 2, 3)
    voxels = AllVoxels(_Held(image), Box((0, 0), (2, 3)))
    first, second = measured_steps(made.steps, voxels)
    assert (first.low, first.span, second.low, second.span) == (1.0, 4.0, 2.0, 8.0)


def step_of_04(**kwargs: Any) -> ProcessingStep:
    """How the description of a package of format 0.4 reads ``zero_mean_unit_variance``."""
    field = {
        "name": "raw",
        "axes": "bcyx",
        "shape": [1, 1, 8, 8],
        "preprocessing": [{"name": "zero_mean_unit_variance", "kwargs": kwargs}],
    }
    (inputs, _) = format_04.tensors_of({"inputs": [field], "outputs": []})
    return inputs[0].steps[0]


def test_numbers_of_format_04_are_fixed_also_without_a_mode() -> None:
    # The specification of 0.4 has the default "fixed".
    kwargs = {"mean": 100.0, "std": 20.0, "axes": "yx"}
    stated = normalisation_of(tensor([step_of_04(mode="fixed", **kwargs)]))
    assert normalisation_of(tensor([step_of_04(**kwargs)])) == stated
    assert all(isinstance(step, Affine) for step in stated.steps)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (step_of_04(axes="yx"), "mean"),
        (step_of_04(axes="yx", mode="per_sample", mean=1.0, std=2.0), "mean and std"),
        (step_of_04(axes="yx", mode="per_image"), "per_image"),
        (ProcessingStep("zero_mean_unit_variance", {"mean": 1.0, "std": 2.0}), "mean and std"),
        (ProcessingStep("scale_range", {"axes": ["y", "x"], "gamma": 2.0}), "gamma"),
        (ProcessingStep("scale_range", {"axes": ["y", "x"], "mode": "fixed"}), "fixed"),
        (ProcessingStep("clip", {"min": 0.0, "above": 1.0}), "above"),
    ],
)
def test_numbers_that_a_step_would_pass_over_are_refused(
    step: ProcessingStep, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        normalisation_of(tensor([step]))
