"""ONNX graphs as torch modules: the same numbers as onnxruntime's."""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_graphs import Graph, noise, run

from bigunet.errors import ModelError
from bigunet.model.foreign.onnx_file import load_onnx

Add = Callable[[Graph, str], str]


def one(kind: str, *constants: Any, **attributes: Any) -> Add:
    """Adds a node that reads the value before it, and then constants."""
    return lambda graph, name: graph.add(kind, name, *constants, **attributes)


def ints(*numbers: int) -> np.ndarray:
    return np.asarray(numbers, np.int64)


def floats(*numbers: float) -> np.ndarray:
    return np.asarray(numbers, np.float32)


def resized(scale: float, **attributes: Any) -> Add:
    none = np.zeros(0, np.float32)
    return lambda g, n: g.add("Resize", n, none, floats(1, 1, scale, scale), **attributes)


def to_half_its_size(graph: Graph, name: str) -> str:
    """Resize to sizes that are computed from the image's, as exporters write it."""
    height_width = graph.add("Slice", graph.add("Shape", name), ints(2), ints(4), ints(0))
    half = graph.add("Div", height_width, ints(2))
    sizes = graph.add("Concat", ints(1, 4), half, axis=0)
    return graph.add("Resize", name, "", "", sizes, mode="linear")


def twice(graph: Graph, name: str) -> str:
    return graph.add("Concat", name, graph.add("Neg", name), axis=1)


def halves(graph: Graph, name: str) -> str:
    first = graph.add("Split", name, ints(1, 3), axis=1, outputs=2)
    return graph.add("Concat", first.replace("_0", "_1"), first, axis=1)


# Each keeps 4 channels, so that they can follow one another; the images have even sizes.
STEPS: dict[str, Add] = {
    "conv": one("Conv", noise(4, 4, 3, 3), noise(4), pads=[1, 1, 1, 1]),
    "valid conv": one("Conv", noise(4, 4, 3, 3)),
    "uneven conv": one("Conv", noise(4, 4, 2, 2), pads=[1, 0, 0, 1]),
    "grouped conv": one("Conv", noise(4, 1, 3, 1), group=4, pads=[2, 0, 2, 0], dilations=[2, 1]),
    "same conv": one("Conv", noise(4, 4, 3, 3), auto_pad="SAME_UPPER"),
    "same lower": one("Conv", noise(4, 4, 3, 3), auto_pad="SAME_LOWER", strides=[2, 2]),
    "up conv": one("ConvTranspose", noise(4, 4, 2, 2), noise(4), strides=[2, 2]),
    "uneven up conv": one("ConvTranspose", noise(4, 4, 3, 3), strides=[2, 2], pads=[0, 0, 1, 1]),
    "max pool": one("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "uneven max pool": one("MaxPool", kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
    "average pool": one("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "counted pool": one("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1),
    "norm": one("BatchNormalization", noise(4), noise(4), noise(4), np.abs(noise(4)) + 0.1),
    "instance norm": one("InstanceNormalization", noise(4), noise(4)),
    "nearest": resized(2, mode="nearest", coordinate_transformation_mode="asymmetric",
                       nearest_mode="floor"),
    "half nearest": resized(0.5, mode="nearest", coordinate_transformation_mode="asymmetric",
                            nearest_mode="floor"),
    "half pixel nearest": resized(2, mode="nearest"),
    "linear": resized(2, mode="linear"),
    "aligned": resized(2, mode="linear", coordinate_transformation_mode="align_corners"),
    "cubic": resized(2, mode="cubic"),
    "computed size": to_half_its_size,
    "reflected": one("Pad", ints(0, 0, 1, 2, 0, 0, 0, 1), mode="reflect"),
    "edges": one("Pad", ints(0, 0, 1, 0, 0, 0, 1, 1), mode="edge"),
    "padded": one("Pad", ints(0, 0, 1, 0, 0, 0, -1, 1), np.float32(0.5)),
    "cropped": one("Slice", ints(1, 1), ints(-1, 2**31), ints(2, 3)),
    "every second": one("Slice", ints(0), ints(2**31), ints(3), ints(2)),
    "relu": one("Relu"), "leaky": one("LeakyRelu", alpha=0.3), "elu": one("Elu"),
    "selu": one("Selu"), "sigmoid": one("Sigmoid"), "tanh": one("Tanh"),
    "hard sigmoid": one("HardSigmoid"), "softplus": one("Softplus"), "erf": one("Erf"),
    "prelu": one("PRelu", noise(4, 1, 1)), "clip": one("Clip", np.float32(-1), np.float32(6)),
    "softmax": one("Softmax", axis=1), "log softmax": one("LogSoftmax", axis=1),
    "scaled": one("Mul", noise(4, 1, 1)), "powers": one("Pow", floats(2)),
    "mean": lambda g, n: g.add("Sub", n, g.add("ReduceMean", n, ints(1), keepdims=1)),
    "turned": lambda g, n: g.add("Transpose", g.add("Transpose", n, perm=[0, 2, 3, 1]),
                                 perm=[0, 3, 1, 2]),
    "halves": halves, "gathered": one("Gather", ints(3, -2, 0, 1), axis=1),
    "two": lambda g, n: g.add("Conv", twice(g, n), noise(4, 8, 1, 1)),
    "cast": one("Cast", to=1), "cast like": one("CastLike", floats(1)), "identity": one("Identity"),
    "where": lambda g, n: g.add("Where", g.add("Greater", n, floats(0)), n, floats(0.1)),
}  # fmt: skip


def compared(add: list[Add], *, opset: int = 18, size: tuple[int, int] = (24, 20)) -> None:
    """Compare the module with onnxruntime, also after a copy and after pickling."""
    graph = Graph(opset)
    name = graph.add("Conv", "image", noise(4, 1, 1, 1))
    for one_more in add:
        name = one_more(graph, name)
    image = noise(1, 1, *size)
    with tempfile.TemporaryDirectory() as folder:
        path = graph.write(Path(folder, "a.onnx"), name)
        expected = run(path, image)
        module = load_onnx(path).module
    with torch.inference_mode():
        scores = pickle.loads(pickle.dumps(module))(torch.from_numpy(image)).numpy()
        wide = copy.deepcopy(module).double()(torch.from_numpy(image).double())
        shapes = copy.deepcopy(module).to("meta")(torch.empty(image.shape, device="meta"))
    allowed = 1e-5 * max(1.0, float(np.abs(expected).max()))
    assert scores.shape == expected.shape == tuple(shapes.shape)
    assert np.abs(scores - expected).max() <= allowed
    assert wide.dtype == torch.float64
    assert np.abs(wide.numpy() - expected).max() <= allowed


@pytest.mark.parametrize("name", STEPS)
def test_an_operator_gives_what_onnxruntime_gives(name: str) -> None:
    compared([STEPS[name]])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=2, max_size=6))
def test_operators_in_a_row_give_what_onnxruntime_gives(names: list[str]) -> None:
    sizes = [1 + ("pool" in n or "every" in n or "half" in n or "lower" in n) for n in names]
    compared([STEPS[n] for n in names], size=(8 * int(np.prod(sizes)),) * 2)


@pytest.mark.parametrize(
    ("opset", "add"),
    [
        (9, one("Upsample", floats(1, 1, 2, 2))),
        (10, one("Resize", floats(1, 1, 2, 2))),
        (10, one("Clip", min=-0.5, max=0.5)),
        (10, one("Pad", pads=[0, 0, 1, 1, 0, 0, 1, 0])),
        (9, one("Slice", starts=[1], ends=[8], axes=[2])),
        (11, lambda g, n: g.add("Unsqueeze", g.add("Squeeze", n, axes=[0]), axes=[0])),
        (11, one("Softmax", axis=2)),
        (11, one("ReduceMean", axes=[1])),
        (13, lambda g, n: g.add("Unsqueeze", g.add("Squeeze", n, ints(0)), ints(0))),
    ],
)
def test_older_forms_of_operators_are_read(opset: int, add: Add) -> None:
    compared([add], opset=opset)


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (one("NonZero"), r"operators that bigunet does not run \(NonZero\)"),
        (lambda g, n: g.add("If", g.add("LRN", n, size=3)), r"\(If, LRN\)"),
    ],
)
def test_an_operator_that_is_not_run_is_named(tmp_path: Path, add: Add, message: str) -> None:
    graph = Graph()
    add(graph, "image")
    with pytest.raises(ModelError, match=message):
        load_onnx(graph.write(tmp_path / "a.onnx"))


@pytest.mark.parametrize(
    "add",
    [
        resized(2, mode="linear", coordinate_transformation_mode="asymmetric"),
        resized(1.5, mode="nearest"),
        resized(1.3, mode="linear"),
        resized(
            1 / 3, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        ),
        one("DepthToSpace", blocksize=2),
        one("ArgMax", axis=1, select_last_index=1),
        one("Cast", to=2),
        one("CastLike", ints(1)),
    ],
)
def test_a_form_that_torch_computes_otherwise_is_refused(tmp_path: Path, add: Add) -> None:
    graph = Graph()
    add(graph, graph.add("Conv", "image", noise(4, 1, 1, 1)))
    module = load_onnx(graph.write(tmp_path / "a.onnx")).module
    with pytest.raises(ModelError, match=r"ONNX operator .* which bigunet does not run"):
        module(torch.zeros(1, 1, 8, 8))


def test_a_graph_with_two_inputs_or_outputs_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    graph.add("Add", graph.add("Relu", "image"), "other")
    inputs = {"image": (1, 1, 8, 8), "other": (1, 1, 8, 8)}
    with pytest.raises(ModelError, match=r"2 inputs \(image, other\)"):
        load_onnx(graph.write(tmp_path / "a.onnx", inputs=inputs))
    graph = Graph()
    graph.add("Neg", graph.add("Relu", "image"))
    with pytest.raises(ModelError, match=r"2 outputs"):
        load_onnx(graph.write(tmp_path / "a.onnx", "v0_0", "v1_0"))
