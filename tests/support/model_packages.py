"""Small packages of bioimage.io, written for tests."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml

SPACE = ("z", "y", "x")


def onnx_conv(
    classes: int = 1,
    channels: int = 1,
    *,
    pad: int = 1,
    size: int = 3,
    seed: int = 0,
    mixing: bool = False,
) -> bytes:
    """A network of one convolution with random weights, as ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    weight = random.normal(size=(classes, channels, size, size)).astype(np.float32)
    bias = random.normal(size=classes).astype(np.float32)
    nodes = [helper.make_node("Conv", ["image", "w", "b"], ["scores"], pads=[pad] * 4)]
    if mixing:
        # A normalisation over the whole tile, before the convolution.
        nodes[0].input[0] = "mixed"
        names = ["image", "one", "nothing"]
        nodes.insert(0, helper.make_node("InstanceNormalization", names, ["mixed"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, count, None, None])
        for name, count in (("image", channels), ("scores", classes))
    ]
    constants = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    for name, value in (("one", 1), ("nothing", 0)) if mixing else ():
        constants.append(numpy_helper.from_array(np.full(channels, value, np.float32), name))
    graph = helper.make_graph(nodes, "conv", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def description(
    *, classes: int = 1, channels: int = 1, weights: bytes = b"", **changed: Any
) -> dict[str, Any]:
    """The description of a package of format 0.5 with ONNX weights."""
    size = {"min": 8, "step": 1}
    taken = [
        {"type": "batch"},
        {"type": "channel", "channel_names": [f"stain{k}" for k in range(channels)]},
        *({"type": "space", "id": name, "size": size} for name in "yx"),
    ]
    made = [
        {"type": "batch"},
        {"type": "channel", "channel_names": [f"class{k}" for k in range(classes)]},
        *(
            {"type": "space", "id": name, "size": {"tensor_id": "raw", "axis_id": name}}
            for name in "yx"
        ),
    ]
    return {
        "format_version": "0.5.4",
        "type": "model",
        "name": "a small network",
        "inputs": [{"id": "raw", "axes": taken, "preprocessing": []}],
        "outputs": [{"id": "scores", "axes": made, "postprocessing": [{"id": "sigmoid"}]}],
        "weights": {"onnx": {"source": "weights.onnx", "sha256": sha256(weights)}},
        **changed,
    }


def write_package(folder: Path, data: dict[str, Any], **files: bytes) -> Path:
    """A package in a folder; a file ``weights_onnx`` becomes ``weights.onnx``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rdf.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def onnx_package(folder: Path, *, classes: int = 1, channels: int = 1, **changed: Any) -> Path:
    """A package of one convolution, with these fields of its description changed."""
    weights = onnx_conv(classes, channels)
    data = description(classes=classes, channels=channels, weights=weights)
    for place, value in changed.items():
        if place in ("preprocessing", "postprocessing"):
            data["inputs" if place == "preprocessing" else "outputs"][0][place] = value
        else:
            data[place] = value
    return write_package(folder, data, weights_onnx=weights)
