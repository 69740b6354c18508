"""Presets of a training: options for a kind of machine, or those of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigunet.options.choices import PresetName
from bigunet.options.option_kinds import Choice
from bigunet.training.augmentation import Augmentation

# One network for both: it learns fast on small batches, and its weights fit averaged statistics.
_FAST = {
    "network": "unet",
    "batch_norm": True,
    "dropout": 0.0,
    "freeze_statistics": 0.5,
    "optimiser": "adamw",
    "class_balance": 0.25,
    "patch": 256,
}
_PRESETS: Mapping[PresetName, Mapping[str, Any]] = {
    "laptop": {**_FAST, "width": 16, "depth": 3, "batch": 2, "minutes": 15.0},
    "gpu": {**_FAST, "width": 32, "depth": 4, "batch": 8},
    # Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, doi:10.1007/978-3-319-24574-4_28: figure 1 and
    # section 3. The paper does not state learning rate, schedule and number of steps.
    "paper": {
        "network": "unet",
        "width": 64,
        "depth": 4,
        "batch_norm": False,
        "dropout": 0.5,
        "batch": 1,
        "patch": 388,
        "optimiser": "sgd",
        "momentum": 0.99,
        "border_sigma": 5.0,
        "class_balance": 1.0,
        "precision": "fp32",
        "augmentation": Augmentation(),
    },
}
_OF_NETWORK = ("network", "width", "depth", "batch_norm", "dropout")


def preset_fields(preset: PresetName | None) -> frozenset[str]:
    """Names of the fields that a preset knows; empty without a preset."""
    return frozenset() if preset is None else frozenset({"precision", *_PRESETS[preset]})


def preset_values(preset: PresetName, given: Mapping[str, Any], *, bf16: bool) -> dict[str, Any]:
    """Fields of TrainOptions and Recipe that a preset sets; what is given wins.

    Parameters
    ----------
    preset : {"laptop", "gpu", "paper"}
    given : mapping
        The fields that the user gave, whatever their values.
    bf16 : bool
        Whether the hardware computes in bf16; the presets for machines then take it.

    Raises
    ------
    OptionError
        If there is no such preset.

    Examples
    --------
    >>> preset_values("gpu", {"width": 64}, bf16=True)["depth"]
    4
    """
    known = Choice(PresetName, "preset").check(preset, "preset")
    values = {"precision": "bf16" if bf16 else "fp32", **_PRESETS[known]}  # type: ignore[index]
    left_out = {*given}
    if given.get("steps") is not None:
        left_out.add("minutes")
    if given.get("begin_from") or given.get("network", "unet") != "unet":
        # Another network is given, and these are the numbers of a new U-Net.
        left_out.update(_OF_NETWORK)
    return {name: value for name, value in values.items() if name not in left_out}
