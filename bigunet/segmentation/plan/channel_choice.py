"""Chooses the channels of an image that a model reads, and refuses where that is unclear."""

from __future__ import annotations

from collections.abc import Sequence

from bigunet.errors import OptionError
from bigunet.io.images.channels import is_real, listed, named
from bigunet.io.images.multiscale import ImageDescription
from bigunet.model.description import ModelDescription


def choose_channels(
    image: ImageDescription, model: ModelDescription, named_channels: Sequence[int | str]
) -> tuple[int, ...]:
    """Indices of the image's channels that the model reads, in the model's order.

    If the user names no channels, those with the names of the model's channels are chosen. Without
    such names, all channels are chosen in their order, if the model reads as many. A name that is
    only a number counts as no name.

    Parameters
    ----------
    image : ImageDescription
    model : ModelDescription
    named_channels : sequence of int or str
        The user's choice; may be empty.

    Raises
    ------
    OptionError
        If the user's choice does not fit, or the user chose none and several are possible.
    """
    needed = model.channels
    if named_channels:
        if len(named_channels) != len(needed):
            raise OptionError(
                f"{_reads(model)}, but {len(named_channels)} were chosen; {image.url} has "
                f"{listed(image.channel_names)}"
            )
        return tuple(image.channel_index(channel) for channel in named_channels)
    if image.num_channels == len(needed) == 1:
        return (0,)
    by_name = _by_name(image.channel_names, needed)
    if by_name:
        return by_name
    if image.num_channels == len(needed):
        return _in_order(image, model)
    if image.is_rgb and len(needed) == 1:
        raise OptionError(
            f"{image.url} is an RGB image (channels {listed(image.channel_names)}), but model "
            f"{model.name!r} reads 1 grey channel: choose one with --channel"
        )
    if image.num_channels < len(needed):
        raise OptionError(
            f"{_reads(model)}, but {image.url} has {image.num_channels}: "
            f"{listed(image.channel_names)}; choose another model"
        )
    raise OptionError(
        f"{_reads(model)}; choose from those of {image.url} with --channel: "
        f"{listed(image.channel_names)}"
    )


def _by_name(names: Sequence[str], needed: Sequence[str]) -> tuple[int, ...]:
    """The channels with the model's names; empty unless each name has a channel of its own."""
    if not all(map(is_real, needed)):
        return ()
    matching = [named(names, name) for name in needed]
    indices = tuple(matches[0] for matches in matching if len(matches) == 1)
    return indices if len(set(indices)) == len(needed) else ()


def _in_order(image: ImageDescription, model: ModelDescription) -> tuple[int, ...]:
    """All channels in their order; refused if a name says that the model reads another order."""
    for index, (own, name) in enumerate(zip(image.channel_names, model.channels)):
        if not is_real(name):
            continue
        matches = named(image.channel_names, name)
        if (is_real(own) and index not in matches) or (matches and index not in matches):
            raise OptionError(
                f"{_reads(model)}, but {image.url} has the channels "
                f"{listed(image.channel_names)}: give --channel once for each, in the model's order"
            )
    return tuple(range(image.num_channels))


def _reads(model: ModelDescription) -> str:
    names = f" ({', '.join(model.channels)})" if any(map(is_real, model.channels)) else ""
    return f"model {model.name!r} reads {len(model.channels)} channel(s){names}"
