"""The U-Net of Ronneberger et al. 2015 with valid convolutions, in 2D and 3D.

This file needs torch alone. ``UNet(...)`` builds the network of the state dict beside it. It maps
an image (n, channel, *space) to scores (n, class, *space) before the softmax, which are smaller by
the border on each side. A size must be one that the poolings divide evenly.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI
2015, doi:10.1007/978-3-319-24574-4_28.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}


class UNet(nn.Module):
    """See the head of this file; the arguments are the numbers of the network."""

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        classes: int,
        width: int,
        depth: int,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.depth = depth
        channels = [width * 2**level for level in range(depth + 1)]
        inputs = [in_channels, *channels[:-1]]
        self.encoder = nn.ModuleList(
            [block(a, b, ndim, batch_norm) for a, b in zip(inputs, channels)]
        )
        self.pool = POOL[ndim](2)
        self.dropout = DROPOUT[ndim](dropout)
        self.up = nn.ModuleList([UP[ndim](2 * c, c, 2, stride=2) for c in channels[:-1]])
        self.decoder = nn.ModuleList([block(2 * c, c, ndim, batch_norm) for c in channels[:-1]])
        self.head = CONV[ndim](width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Scores before the softmax."""
        x, skips = image, []
        for level in range(self.depth):
            x = self.encoder[level](x)
            skips.append(x)
            if level == self.depth - 1:
                x = self.dropout(x)
            x = self.pool(x)
        x = self.dropout(self.encoder[-1](x))
        for level in reversed(range(self.depth)):
            x = self.up[level](x)
            x = torch.cat((centre(skips.pop(), x.shape[2:]), x), dim=1)
            x = self.decoder[level](x)
        scores: Tensor = self.head(x)
        return scores


def block(before: int, after: int, ndim: int, batch_norm: bool) -> nn.Sequential:
    """Two valid convolutions, each followed by batch normalisation (if any) and ReLU."""
    layers: list[nn.Module] = []
    for count in (before, after):
        layers.append(CONV[ndim](count, after, 3, bias=not batch_norm))
        if batch_norm:
            layers.append(NORM[ndim](after))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def centre(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The centre of x that has this shape."""
    for axis, size in enumerate(shape, start=2):
        x = x.narrow(axis, (x.shape[axis] - size) // 2, size)
    return x
