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
    """The network for (n, channel, *space), or the network itself if it already takes them.

    Raises
    ------
    ModelError
        If it has axes that an image block does not have.
    """
    space = taken.space
    names = [tuple(axis.name for axis in tensor.axes) for tensor in (taken, made)]
    order = ("batch", "channel", *space)
    for tensor, axes in zip((taken, made), names):
        if "batch" not in axes:
            raise ModelError(f"tensor {tensor.name!r} has no batch axis: bigunet cannot run it")
        for axis in tensor.axes:
            new = axis.kind == "space" and tensor is made and axis.size == 1
            if axis.name not in order and not new:
                raise ModelError(
                    f"tensor {tensor.name!r} has the axis {axis.name!r}, which is neither batch, "
                    f"channel nor {', '.join(space)}: bigunet cannot run it"
                )
        missing = [name for name in space if name not in axes]
        if missing:
            raise ModelError(
                f"tensor {tensor.name!r} has no axis {missing[0]!r}: no image of labels"
            )
    if names == [order, order]:
        return network
    return OnOwnAxes(network, names[0], names[1], space)
