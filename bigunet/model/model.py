"""A network with all that the engine must know of it, whether from a file or from a caller."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from bigunet.errors import ModelError
from bigunet.model.copying import copied
from bigunet.model.description import ModelDescription, Normalisation, default_classes
from bigunet.model.probe import probe
from bigunet.receptive import ReceptiveField


@dataclass(frozen=True)
class Model:
    """A module, its description, and its receptive field.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (n, channel, *space) to scores (n, class, *space), float, in evaluation mode.
    description : ModelDescription
    digest : str
        SHA-256 that identifies the weights.
    receptive_field : ReceptiveField
        From the layers of bigunet's networks, probed numerically for any other module.
    path : str
        File that it was read from; empty for a module of the caller's.
    """

    module: nn.Module
    description: ModelDescription
    digest: str
    receptive_field: ReceptiveField
    path: str = ""

    @property
    def ndim(self) -> int:
        return self.receptive_field.ndim

    @property
    def in_channels(self) -> int:
        return len(self.description.channels)

    @property
    def zero_padded(self) -> bool:
        """Whether scores near the border of one plain pass are made up from padding."""
        return self.receptive_field.border != self.receptive_field.halo

    @classmethod
    def of_module(
        cls,
        module: nn.Module,
        *,
        ndim: int,
        channels: Sequence[str] = ("0",),
        classes: Sequence[str] | None = None,
        normalisation: Normalisation | None = None,
        name: str | None = None,
    ) -> Model:
        """Any module whose output depends on a bounded neighbourhood, ready for the engine.

        A module that gives one score per voxel is taken for the logit of the foreground, so it
        has two classes: background, where the logit is at most 0, and foreground.

        Parameters
        ----------
        module : torch.nn.Module
            Maps (n, len(channels), *space) to (n, classes, *space) on the same voxel grid;
            zero-padded or valid.
        ndim : int
            Spatial axes, 2 or 3.
        classes : sequence of str, optional
            Class names, background first.
        """
        # The caller may go on training theirs.
        module = copied(module)
        found, scores = probe(module, in_channels=len(channels), ndim=ndim)
        known = default_classes(max(scores, 2))
        if classes is not None:
            if len(classes) != len(known):
                raise ModelError(f"{len(classes)} class names for {len(known)} classes")
            known = tuple(replace(c, name=n) for c, n in zip(known, classes))
        description = ModelDescription(
            name=name or type(module).__name__,
            architecture={"name": "module", "class": type(module).__qualname__},
            classes=known,
            channels=tuple(channels),
            normalisation=normalisation or Normalisation(),
        )
        digest = module_digest(module, found, in_channels=len(channels))
        return cls(module=module, description=description, digest=digest, receptive_field=found)


def module_digest(module: nn.Module, field: ReceptiveField, *, in_channels: int) -> str:
    """SHA-256 of a module's structure, weights, receptive field, and scores of fixed noise.

    The scores tell modules apart that differ in plain attributes or in code. They are computed
    in float64 and rounded, so that another machine or number of threads gives the same digest.
    """
    digest = hashlib.sha256(f"{module!r} {field}".encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    digest.update(_fixed_scores(module, field, in_channels))
    return digest.hexdigest()


def _fixed_scores(module: nn.Module, field: ReceptiveField, in_channels: int) -> bytes:
    generator = torch.Generator().manual_seed(0)
    shape = (1, in_channels, *field.input_shape(field.stride))
    noise = torch.rand(shape, generator=generator, dtype=torch.float64)
    with torch.inference_mode():
        scores = copied(module).cpu().double()(noise).double().numpy()
    scores = np.nan_to_num(scores)
    # Six of the largest score's digits; adding 0 turns -0 into 0.
    _, exponent = np.frexp(np.abs(scores).max())
    return bytes((np.rint(np.ldexp(scores, 20 - exponent)) + 0.0).tobytes())
