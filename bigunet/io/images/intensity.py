"""Percentiles of a whole image: they fix the normalisation before the first block.

This module chooses the level. :mod:`bigunet.io.images.grey_voxels` reads the voxels,
:mod:`bigunet.io.images.spread` says where they lie, and :mod:`bigunet.grey.range_rule` which of
them count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bigunet.errors import ImageError, OptionError
from bigunet.geometry import Box, ceil_div
from bigunet.grey.quantiles import check_quantiles
from bigunet.grey.range_rule import GreyValues, grey_values
from bigunet.io.images.grey_voxels import Chosen, GreyVoxels, read_all, read_sample
from bigunet.io.images.multiscale import ImageDescription, Multiscale
from bigunet.io.images.reader import LevelReader
from bigunet.io.images.volume import VolumeReader

OpenLevel = Callable[[int, Sequence[int]], LevelReader]
"""Opens a level of an image, to read some of its channels."""


MAX_VOXELS = 2**24
"""The most voxels of each channel that percentiles are measured on."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """Percentiles of the voxels of an image, and where they were measured.

    Parameters
    ----------
    level : int
        The level that was read.
    sampled : bool
        Whether only a part of the level was read.
    channels : tuple of GreyValues
        The percentiles of each channel.
    """

    level: int
    sampled: bool
    channels: tuple[GreyValues, ...]

    @property
    def values(self) -> tuple[tuple[float, ...], ...]:
        """Per channel, the value at each quantile."""
        return tuple(channel.values for channel in self.channels)


def percentiles(
    image: Multiscale,
    quantiles: Sequence[float],
    *,
    channels: Sequence[int],
    region: tuple[int, Box] | None = None,
    others: Sequence[float] = (),
    chosen: Callable[[int], Chosen] | None = None,
    max_voxels: int = MAX_VOXELS,
) -> Intensity:
    """Measure percentiles of a zarr image, as :func:`percentiles_of_levels` does of any.

    See there for parameters and errors.
    """
    return percentiles_of_levels(
        image,
        lambda level, some: VolumeReader(image, level=level, channels=some),
        quantiles,
        channels=channels,
        region=region,
        others=others,
        chosen=chosen,
        max_voxels=max_voxels,
    )


def percentiles_of_levels(
    image: ImageDescription,
    open_level: OpenLevel,
    quantiles: Sequence[float],
    *,
    channels: Sequence[int],
    region: tuple[int, Box] | None = None,
    others: Sequence[float] = (),
    chosen: Callable[[int], Chosen] | None = None,
    max_voxels: int = MAX_VOXELS,
) -> Intensity:
    """Measure percentiles of each channel over all time points and planes.

    They are exact for the largest level of at most ``max_voxels`` voxels. Where no level is that
    small, evenly spaced chunks of the smallest level are read instead, and more of them where most
    hold one single value. Levels of another dtype than the level that is segmented are not read.
    :func:`bigunet.grey.range_rule.grey_values` is the rule that says which voxels count.

    Parameters
    ----------
    image : ImageDescription
    open_level : callable
        Opens a level of the image, given the level and the channels to read.
    quantiles : sequence of float
        In percent, 0 to 100.
    channels : sequence of int
        Indices of the channels to measure, in this order.
    region : tuple of int and Box, optional
        The level that is segmented, and the part of it to measure; by default all of level 0.
    others : sequence of float, optional
        Further quantiles of the same voxels. Outliers do not move them.
    chosen : callable, optional
        Returns, for a level, the voxels that the user asks for; by default all.
    max_voxels : int, optional
        The most voxels of each channel to keep in memory; one chunk is read in any case.

    Returns
    -------
    Intensity

    Raises
    ------
    OptionError
        If a quantile, a channel or ``max_voxels`` is out of range.
    ImageError
        If no voxel of a channel counts, or voxels cannot be read.
    """
    check_quantiles((*quantiles, *others))
    if max_voxels < 1:
        raise OptionError(f"max_voxels is {max_voxels}; at least 1 voxel must be read")
    level, sampled = _choose_level(image, region, max_voxels)
    box = _on_level(image, region, level)
    asked = None if chosen is None else chosen(level)
    # Averages of a coarser level make single voxels of what is larger.
    specks = level <= (region[0] if region else 0)
    measured: list[GreyValues] = []
    # Of many channels, all may not fit into memory.
    together = max(1, 2 * max_voxels // box.size)
    for first in range(0, len(channels), together):
        some = channels[first : first + together]
        reader = open_level(level, some)
        read = (
            read_sample(reader, box, asked, max_voxels) if sampled else read_all(reader, box, asked)
        )
        for k, channel in enumerate(some):
            values = _values_of(read, k, quantiles, others=others, specks=specks)
            if values is None:
                raise ImageError(
                    f"channel {channel} of {image.url} has no finite voxel at level {level}: "
                    "choose another channel"
                )
            measured.append(values)
    return Intensity(level, sampled, tuple(measured))


def _values_of(
    read: GreyVoxels,
    k: int,
    quantiles: Sequence[float],
    *,
    others: Sequence[float],
    specks: bool,
) -> GreyValues | None:
    """Percentiles of the channel at position ``k`` of what was read; None without finite voxels."""
    voxels = [part[k] for part in read.voxels]
    # Where the user asks for no voxel, nothing will be segmented, and any range does.
    values = grey_values(
        voxels, quantiles, masks=read.chosen, others=others, specks=specks
    ) or grey_values(voxels, quantiles, others=others, specks=specks)
    if values is None or all(part is None for part in read.chosen):
        return values
    everywhere = grey_values(voxels, quantiles)
    if everywhere is None:
        return values
    # The network also reads voxels beside those that the user asks for, as context.
    return replace(values, padding=everywhere.padding)


def _choose_level(
    image: ImageDescription, region: tuple[int, Box] | None, max_voxels: int
) -> tuple[int, bool]:
    """The level to read, and whether only a sample of it is read."""
    dtype = image.level(region[0] if region else 0).dtype
    sizes = {
        k: _on_level(image, region, k).size
        for k, level in enumerate(image.levels)
        if level.dtype == dtype
    }
    fitting = [k for k, size in sizes.items() if size <= max_voxels]
    if fitting:
        return max(fitting, key=lambda k: sizes[k]), False
    return min(sizes, key=lambda k: sizes[k]), True


def _on_level(image: ImageDescription, region: tuple[int, Box] | None, level: int) -> Box:
    """The voxels of another level that the region touches."""
    shape = image.volume_shape(level)
    if region is None:
        return Box.of_shape(shape)
    given, box = region
    sizes = image.volume_shape(given)
    start = tuple(a * n // size for a, n, size in zip(box.start, shape, sizes))
    stop = tuple(ceil_div(b * n, size) for b, n, size in zip(box.stop, shape, sizes))
    return Box(start, tuple(max(a + 1, b) for a, b in zip(start, stop)))
