"""ONNX files made of a few nodes, for tests; onnxruntime says what they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


@dataclass
class Graph:
    """An ONNX graph with one input ``image`` that grows node by node."""

    opset: int = 18
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; inputs that are arrays become constants. The name of its first output."""
        number = len(self.nodes)
        names = []
        for place, one in enumerate(inputs):
            if isinstance(one, str):
                names.append(one)
            else:
                names.append(f"c{number}_{place}")
                self.constants[names[-1]] = np.asarray(one)
        made = [f"v{number}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **attributes))
        return made[0]

    def write(
        self,
        path: Path,
        *outputs: str,
        shape: Sequence[Any] = (1, 1, "h", "w"),
        inputs: Mapping[str, Sequence[Any]] | None = None,
    ) -> Path:
        """Write the graph; its outputs are those named, or that of the last node."""
        float32 = TensorProto.FLOAT
        given = inputs or {"image": shape}
        graph = helper.make_graph(
            self.nodes, "graph",
            [helper.make_tensor_value_info(n, float32, s) for n, s in given.items()],
            [helper.make_tensor_value_info(n, float32, None)
             for n in outputs or [self.nodes[-1].output[0]]],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 9
        onnx.save(model, path)
        return path


def run(path: Path, image: np.ndarray) -> np.ndarray:
    """What onnxruntime gives for an image."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: image})[0])


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
