"""What the output of a package means: logits, probabilities, and where the foreground begins.

::

    one output, sigmoid           foreground where p > 0.5, or above the threshold of binarize
    several outputs, softmax      the highest
    several outputs, sigmoids     the highest of those above 0.5; background where there is none
    no step                       measured, as of any module
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from bigunet.errors import ModelError
from bigunet.model.brief import brief
from bigunet.model.packages.package import PackageTensor, ProcessingStep
from bigunet.model.packages.plain_fields import number

Activation = Literal["none", "sigmoid", "softmax"]


@dataclass(frozen=True, slots=True)
class OutputRule:
    """What becomes of the scores of the network.

    Parameters
    ----------
    activation : {"none", "sigmoid", "softmax"}
    gain, offset : float
        The scores are multiplied and shifted before the activation.
    threshold : float or None
        The foreground begins above this number, after activation; None for the middle.
    scale, shift : float
        The scores after the activation are multiplied and shifted for display.
    """

    activation: Activation = "none"
    gain: float = 1.0
    offset: float = 0.0
    threshold: float | None = None
    scale: float = 1.0
    shift: float = 0.0

    def shifted(self) -> OutputRule:
        """The same labels with the foreground where the score is above 0."""
        if self.threshold is None:
            return self
        level = self.threshold
        if self.activation == "sigmoid":
            level = math.log(level / (1 - level))
        return replace(self, offset=self.offset - level, threshold=None)


def output_rule(tensor: PackageTensor) -> OutputRule:
    """The rule that an output states.

    Raises
    ------
    ModelError
        If a step has no meaning for labels; the message names it.
    """
    rule = OutputRule()
    for step in tensor.steps:
        if rule.threshold is not None and step.name != "ensure_dtype":
            raise _refused(step, "it follows binarize")
        rule = _with(rule, step)
    return rule


_KNOWN = {
    "sigmoid": "",
    "softmax": "axis",
    "scale_linear": "gain offset axis axes",
    "clip": "min max",
    "binarize": "threshold",
    "ensure_dtype": "dtype",
}
"""The numbers of each step that are known; others would change what it means."""


def _with(rule: OutputRule, step: ProcessingStep) -> OutputRule:
    if step.name in _KNOWN and (unknown := step.others_than(_KNOWN[step.name])):
        raise _refused(step, f"bigunet does not know its {', '.join(unknown)}")
    if step.name == "ensure_dtype":
        if rule.threshold is None and str(step.numbers.get("dtype")) not in ("float32", "float64"):
            raise _refused(step, "it rounds scores that decide about labels")
        return rule
    if step.name in ("sigmoid", "softmax"):
        return _activated(rule, step)
    if step.name == "scale_linear":
        return _scaled(rule, step)
    if step.name == "clip":
        return _clipped(rule, step)
    if step.name == "binarize":
        return _binarized(rule, step)
    raise _refused(
        step, "bigunet maps sigmoid, softmax, scale_linear, clip, binarize, ensure_dtype"
    )


def _activated(rule: OutputRule, step: ProcessingStep) -> OutputRule:
    if rule.activation != "none":
        raise _refused(step, f"it follows {rule.activation}")
    if step.numbers.get("axis", "channel") != "channel":
        raise _refused(step, f"it goes along {brief(step.numbers['axis'])}, not along the channels")
    return replace(rule, activation="sigmoid" if step.name == "sigmoid" else "softmax")


def _scaled(rule: OutputRule, step: ProcessingStep) -> OutputRule:
    gain, offset = (
        _one_number(step, key, default) for key, default in (("gain", 1.0), ("offset", 0.0))
    )
    if not gain > 0:
        raise _refused(step, "a gain that is not above 0 would swap the classes")
    if rule.activation == "none":
        return replace(rule, gain=rule.gain * gain, offset=rule.offset * gain + offset)
    return replace(rule, scale=rule.scale * gain, shift=rule.shift * gain + offset)


def _clipped(rule: OutputRule, step: ProcessingStep) -> OutputRule:
    """A clip that probabilities do not feel."""
    least, greatest = (step.numbers.get(key) for key in ("min", "max"))
    ends = rule.shift, rule.shift + rule.scale
    known = {"min", "max"} >= {k for k, v in step.numbers.items() if v is not None}
    below = least is None or number(least, "min") <= ends[0]
    above = greatest is None or number(greatest, "max") >= ends[1]
    if rule.activation == "none" or not (known and below and above):
        raise _refused(step, "it changes scores that decide about labels")
    return rule


def _binarized(rule: OutputRule, step: ProcessingStep) -> OutputRule:
    threshold = (_one_number(step, "threshold", math.nan) - rule.shift) / rule.scale
    if rule.activation == "softmax":
        raise _refused(step, "after a softmax the highest class is the label")
    if rule.activation == "sigmoid" and not 0 < threshold < 1:
        raise _refused(step, "its threshold leaves one class only")
    return replace(rule, threshold=threshold)


def _one_number(step: ProcessingStep, name: str, default: float) -> float:
    given = step.numbers.get(name, default)
    values = given if isinstance(given, list) else [given]
    if len(values) != 1:
        raise _refused(step, f"{name} differs from channel to channel")
    return number(values[0], f"{name} of {step.name}")


def _refused(step: ProcessingStep, why: str) -> ModelError:
    return ModelError(f"its step {step.name} after the network cannot become labels: {why}")
