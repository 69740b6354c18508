"""Networks with other axes than (n, channel, z, y, x), behind a module that turns them."""

from __future__ import annotations

from torch import Tensor, nn

from bigunet.errors import ModelError
from bigunet.model.packages.package import PackageTensor


class OnOwnAxes(nn.Module):
    """Runs a network on the axes that it expects.

    Parameters
    ----------
    network : torch.nn.Module
    given, made : tuple of str
        Names of the axes of its input and of its output.
    space : tuple of str
        Axes of space of the image, in the order z, y, x.
    """

    def __init__(
        self,
        network: nn.Module,
        given: tuple[str, ...],
        made: tuple[str, ...],
        space: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.network = network
        self.given, self.made = given, made
        self.order = ("batch", "channel", *space)

    def forward(self, image: Tensor) -> Tensor:
        """Scores (n, class, *space) of an image (n, channel, *space)."""
        if "channel" not in self.given:
            image = image.squeeze(1)
        there = [axis for axis in self.order if axis in self.given]
        scores = self.network(image.permute([there.index(axis) for axis in self.given]))
        if isinstance(scores, (list, tuple)) and len(scores) == 1:
            scores = scores[0]
        if scores.ndim != len(self.made):
            raise ModelError(f"the network gives {scores.ndim} axes, the package {len(self.made)}")
        axes = list(self.made)
        for axis in self.made:
            if axis not in self.order:
                scores = scores.squeeze(axes.index(axis))
                axes.remove(axis)
        if "channel" not in axes:
            scores = scores.unsqueeze(0)
            axes.insert(0, "channel")
        turned: Tensor = scores.permute([axes.index(axis) for axis in self.order])
        return turned


def on_image_axes(network: nn.Module, taken: PackageTensor, made: PackageTensor) -> nn.Module:
    """The network for (n, channel, *space), or the network itself if it already takes them."""
    given, scores = (tuple(axis.name for axis in tensor.axes) for tensor in (taken, made))
    order = ("batch", "channel", *taken.space)
    if given == scores == order:
        return network
    return OnOwnAxes(network, given, scores, taken.space)


def check_axes(taken: PackageTensor, made: PackageTensor) -> None:
    """Raise ModelError if input or output has axes that a block of an image does not have."""
    space = taken.space
    for tensor in (taken, made):
        axes = [axis.name for axis in tensor.axes]
        missing = [name for name in ("batch", *space) if name not in axes]
        for axis in tensor.axes:
            is_plane = axis.kind == "space" and tensor is made and axis.size == 1
            if axis.name not in ("batch", "channel", *space) and not is_plane:
                raise ModelError(
                    f"tensor {tensor.name!r} has the axis {axis.name!r}, which is neither batch, "
                    f"channel nor {', '.join(space)}: bigunet cannot run it"
                )
        if missing:
            raise ModelError(
                f"tensor {tensor.name!r} has no axis {missing[0]!r}: bigunet cannot run it"
            )
