"""Folds batch normalisations into the convolutions before them, where that is certainly exact."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bigunet.model.copying import copied

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_NORMALISATIONS = (nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """A copy for inference, with batch normalisations folded into their convolutions.

    Layers that may do more than torch's own layers stay as they are: subclasses, and layers with
    hooks or parametrizations.
    """
    folded = copied(module)
    for parent in list(folded.modules()):
        if isinstance(parent, torch.jit.ScriptModule):
            continue
        if type(parent).forward is not nn.Sequential.forward or is_altered(parent):
            continue
        for first, second in itertools.pairwise(list(parent._modules)):
            conv, norm = parent._modules[first], parent._modules[second]
            if conv is not None and norm is not None and _is_foldable(conv, norm):
                parent._modules[first] = fuse_conv_bn_eval(conv, norm)  # type: ignore[type-var,arg-type]
                parent._modules[second] = nn.Identity()
    return folded


def _is_foldable(conv: nn.Module, norm: nn.Module) -> bool:
    if type(conv) not in _CONVOLUTIONS or type(norm) not in _NORMALISATIONS:
        return False
    # A layer without running statistics cannot be folded: it uses each tile's own statistics.
    return norm.running_mean is not None and not is_altered(conv) and not is_altered(norm)


def is_altered(module: nn.Module) -> bool:
    """Whether a call of the module runs more than the forward method of its class."""
    hooked = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    return bool(hooked) or parametrize.is_parametrized(module)
