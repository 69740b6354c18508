"""An ONNX graph as a torch module: its weights are parameters, and torch computes its operators."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.brief import first_line
from bigunet.model.foreign.onnx_arithmetic import ARITHMETIC
from bigunet.model.foreign.onnx_layers import LAYERS
from bigunet.model.foreign.onnx_shapes import SHAPES
from bigunet.model.foreign.onnx_values import Operator, Step, Value

OPERATORS: dict[str, Operator] = {**ARITHMETIC, **LAYERS, **SHAPES}
# Constants up to this many numbers may be sizes.
_MOST_SIZES = 32
# All inputs but the first are sizes or the like, and no pixels.
_READS_SIZES = {
    *("Clip", "Expand", "Gather", "Pad", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceSum", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Tile", "Unsqueeze"),
    "Upsample",
}


class OnnxNetwork(nn.Module):
    """Runs the steps of an ONNX graph in order.

    Parameters
    ----------
    steps : sequence of Step
    constants : mapping of str to ndarray
        Weights, and other constants of the graph.
    input_name, output_name : str
    """

    def __init__(
        self,
        steps: Sequence[Step],
        constants: Mapping[str, np.ndarray],
        *,
        input_name: str,
        output_name: str,
    ) -> None:
        super().__init__()
        self._steps = tuple(steps)
        self._ends = input_name, output_name
        self._sizes = {
            name: array
            for name, array in constants.items()
            if array.size <= _MOST_SIZES or array.dtype.kind not in "f"
        }
        self._places: dict[str, str] = {}
        for number, (name, array) in enumerate(constants.items()):
            self._places[name] = f"constant{number}"
            tensor = torch.from_numpy(np.array(array))
            if array.dtype.kind == "f" and array.size > _MOST_SIZES:
                self.register_parameter(f"constant{number}", nn.Parameter(tensor, False))
            else:
                self.register_buffer(f"constant{number}", tensor)
        self._last_uses = _last_uses(self._steps, output_name)

    def extra_repr(self) -> str:
        """The number of steps, and a digest that identifies them."""
        text = "\n".join(map(_text_of, self._steps))
        return f"{len(self._steps)} steps {hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def forward(self, image: Tensor) -> Tensor:
        """The scores of an image (n, channel, *space)."""
        input_name, output_name = self._ends
        values: dict[str, Any] = {input_name: image}
        for step, unused in zip(self._steps, self._last_uses):
            outputs = self._outputs(step, values)
            values.update(zip(step.outputs, outputs))
            for name in unused:
                values.pop(name, None)
        scores: Tensor = values[output_name]
        return scores

    def _outputs(self, step: Step, values: Mapping[str, Any]) -> tuple[Any, ...]:
        inputs = self._inputs(step, values)
        try:
            result = OPERATORS[step.kind](step, *inputs)
        except (ModelError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # torch and NumPy raise many kinds for sizes that do not fit
            name = f"ONNX operator {step.kind} ({step.outputs[0]})"
            raise RuntimeError(f"{name}: {first_line(error)}") from error
        return result if isinstance(result, tuple) else (result,)

    def _inputs(self, step: Step, values: Mapping[str, Any]) -> list[Value | None]:
        """The inputs of a step: constants are arrays if they stand for sizes, else tensors."""
        pixels = any(isinstance(values.get(name), Tensor) for name in step.inputs)
        pixels = pixels or step.kind in LAYERS
        inputs: list[Value | None] = []
        for place, name in enumerate(step.inputs):
            if not name:
                inputs.append(None)
            elif name in values:
                inputs.append(values[name])
            else:
                sizes = step.kind in _READS_SIZES and place > 0
                inputs.append(self._constant(name, as_size=sizes or not pixels))
        return inputs

    def _constant(self, name: str, *, as_size: bool) -> Value:
        if as_size and name in self._sizes:
            return self._sizes[name]
        tensor: Tensor = getattr(self, self._places[name])
        return tensor


def _text_of(step: Step) -> str:
    attributes = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in sorted(step.attributes.items())
    }
    return f"{step.kind} {step.inputs} {step.outputs} {attributes} {step.opset}"


def _last_uses(steps: Sequence[Step], output_name: str) -> list[list[str]]:
    """For each step, the names of values that no later step reads."""
    seen, unused = {output_name}, []
    for step in reversed(steps):
        last = [name for name in {*step.inputs, *step.outputs} if name and name not in seen]
        seen.update(last)
        unused.append(last)
    return unused[::-1]
