"""The loss: pixel-wise weighted cross entropy over a softmax."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def weighted_cross_entropy(scores: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """Mean over all voxels of ``-w(x) log p(x)``, where p is the softmax of the true class.

    The paper's energy is the sum over the voxels. The mean is taken here, so that the learning
    rate does not depend on the size of a patch.

    Parameters
    ----------
    scores : Tensor, (n, class, *space)
        Scores before the softmax, of any float dtype. They are converted to fp32.
    classes : Tensor of int64, (n, *space)
    weights : Tensor of float32, (n, *space)
        A voxel of weight 0 does not count.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, equation 1.
    """
    losses = functional.cross_entropy(scores.float(), classes, reduction="none")
    return (losses * weights).mean()
