"""Packages that bigunet wrote: the model that they were made of, with all that it states."""

from __future__ import annotations

import hashlib

import torch

from bigunet.errors import ModelError
from bigunet.model.description import ModelDescription
from bigunet.model.given import check_finite
from bigunet.model.model import Model
from bigunet.model.networks.architectures import build
from bigunet.model.normalisation import Normalisation
from bigunet.model.packages.package import Package
from bigunet.model.packages.preprocessing import normalisation_of
from bigunet.model.packages.weights import STATE, state_of
from bigunet.model.steps import Affine, Step, Stretch


def own_model(package: Package) -> Model | None:
    """The model that the package was made of; None if bigunet did not write it for one of these.

    No code of the package runs.

    Raises
    ------
    ModelError
        If the package was changed since.
    """
    entry = package.weights.get(STATE)
    if not package.own or entry is None:
        return None
    description = ModelDescription.from_dict(package.own.get("description") or {})
    _check_unchanged(package, description.normalisation)
    state = state_of(package, entry)
    check_finite(state)
    with torch.device("meta"):
        module = build(description.architecture)
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ModelError("its weights do not fit its network: it was changed") from error
    digest = hashlib.sha256(repr(description.to_dict()).encode())
    for name, tensor in state.items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    field = module.config.receptive_field()
    return Model(module.eval(), description, digest.hexdigest(), field)


def _check_unchanged(package: Package, normalisation: Normalisation) -> None:
    """Raise ModelError if other programs read other grey values of this package than bigunet."""
    stated = normalisation_of(package.inputs[0]).steps
    if stated != steps_for_others(normalisation):
        raise ModelError(
            "states other grey values than its part for bigunet (config): remove that part, and "
            "bigunet reads it as other programs do"
        )


def steps_for_others(normalisation: Normalisation) -> tuple[Step, ...]:
    """What a package states of a normalisation of bigunet's."""
    low, high = normalisation.low, normalisation.high
    if normalisation.kind == "percentile":
        return (Stretch(float(low), float(high)),)
    return (Affine((1 / (high - low),), (-low / (high - low),)),)
