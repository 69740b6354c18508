"""Reads an ONNX file. It holds data, and no code: nothing in it is executed but its operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bigunet.errors import ModelError
from bigunet.model.brief import first_line
from bigunet.model.foreign.foreign_module import ForeignModule, package
from bigunet.model.foreign.onnx_network import OPERATORS, OnnxNetwork
from bigunet.model.foreign.onnx_values import Step

# Names of ONNX's own operators.
_OWN_DOMAINS = ("", "ai.onnx")
_EXPORT = "export the network alone, or give the PyTorch network that it was made from"


def load_onnx(path: Path) -> ForeignModule:
    """Read the network of an ONNX file as a torch module in float32.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ModelError
        If the file is damaged, if it has operators that bigunet does not run, or if it has several
        inputs or outputs. The message names them.
    """
    onnx = package("onnx", extra="onnx", path=path, kind="an ONNX model")
    try:
        file = onnx.load(path)
    except Exception as error:  # protobuf and onnx raise many kinds
        reason = first_line(error)
        raise ModelError(f"{path} cannot be read as ONNX ({reason}): fetch it again") from error
    graph = file.graph
    constants = {one.name: _array(onnx, one) for one in graph.initializer}
    given = [one for one in graph.input if one.name not in constants]
    _check_ends(path, [one.name for one in given], [one.name for one in graph.output])
    steps = _steps(onnx, path, file, constants)
    network = OnnxNetwork(
        steps, constants, input_name=given[0].name, output_name=graph.output[0].name
    )
    shape = given[0].type.tensor_type.shape.dim
    sizes = tuple(one.dim_value if one.HasField("dim_value") else None for one in shape)
    return ForeignModule(network.eval(), "ONNX", sizes)


def _check_ends(path: Path, inputs: list[str], outputs: list[str]) -> None:
    for what, names in (("input", inputs), ("output", outputs)):
        if len(names) != 1:
            listed = ", ".join(names[:4]) or "none"
            raise ModelError(
                f"{path} has {len(names)} {what}s ({listed}); bigunet runs networks with one "
                f"input, the image, and one output, its scores: {_EXPORT}"
            )


def _steps(onnx: Any, path: Path, file: Any, constants: dict[str, np.ndarray]) -> list[Step]:
    """The steps of a graph; its nodes that are constants go to ``constants``."""
    opset = next((o.version for o in file.opset_import if o.domain in _OWN_DOMAINS), 1)
    steps, unknown = [], set()
    for node in file.graph.node:
        attributes = {one.name: _attribute(onnx, one) for one in node.attribute}
        if node.op_type == "Constant" and node.domain in _OWN_DOMAINS:
            constants[node.output[0]] = np.asarray(next(iter(attributes.values())))
            continue
        if node.op_type not in OPERATORS or node.domain not in _OWN_DOMAINS:
            unknown.add(node.op_type)
        steps.append(Step(node.op_type, tuple(node.input), tuple(node.output), attributes, opset))
    if unknown:
        raise ModelError(
            f"{path} has ONNX operators that bigunet does not run ({', '.join(sorted(unknown))}): "
            "export the network another way, or give the PyTorch network that it was made from"
        )
    return steps


def _array(onnx: Any, tensor: Any) -> np.ndarray:
    """A tensor of the file: fractions in float32, as they are computed with."""
    array = np.asarray(onnx.numpy_helper.to_array(tensor))
    whole = array.dtype.kind in "iub"
    return array if whole else array.astype(np.float32)


def _attribute(onnx: Any, attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _array(onnx, value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (str, int, float)):
        return value
    return list(value) if hasattr(value, "__iter__") else str(value)[:40]
