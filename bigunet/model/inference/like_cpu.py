"""Whether a device gives the scores of the CPU, for devices on which bigunet was not tried."""

from __future__ import annotations

import numpy as np
import torch

from bigunet.errors import OptionError
from bigunet.model.inference.forward import Predictor
from bigunet.model.inference.inputs import GreyRange
from bigunet.model.model import Model
from bigunet.options.choices import Precision

# Of the largest score. In fp32 a sum over 10,000 products differs by 1e-6 with its order.
_TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 3e-2, "bf16": 2e-1}


def check_like_cpu(predictor: Predictor, model: Model, grey_range: GreyRange) -> None:
    """Compare the scores of a small tile of noise with those of the CPU in fp32.

    Parameters
    ----------
    predictor : Predictor
        On the device that is checked.
    model : Model
        The model that it runs.
    grey_range : GreyRange
        The range of its inputs.

    Raises
    ------
    OptionError
        If they differ by more than rounding does.
    """
    field = model.receptive_field
    shape = field.input_shape(field.stride)
    random = np.random.default_rng(0)
    noise = np.stack(
        [a + (b - a) * random.random(shape) for a, b in zip(grey_range.low, grey_range.high)]
    ).astype(np.float32)
    scores = predictor.scores(noise).cpu()
    expected = Predictor(model, grey_range).scores(noise)
    largest = float(expected.abs().max())
    difference = float((scores - expected).abs().max())
    if not difference <= _TOLERANCE[predictor.precision] * max(largest, 1.0):
        raise OptionError(
            f"{predictor.device} gives other scores than the CPU: they differ by {difference:.3g}, "
            f"and the largest is {largest:.3g}. Give --device cpu, and report this with the "
            f"versions of torch ({torch.__version__}) and of the system"
        )
