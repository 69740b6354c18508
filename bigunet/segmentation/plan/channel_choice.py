"""Which channels of an image a model reads: those that the user names, or those beyond doubt."""

from __future__ import annotations

from collections.abc import Sequence

from bigunet.errors import OptionError
from bigunet.io.images.channels import is_real, listed, named
from bigunet.io.images.multiscale import Multiscale
from bigunet.model.description import ModelDescription


def choose_channels(
    image: Multiscale, model: ModelDescription, wanted: Sequence[int | str]
) -> tuple[int, ...]:
    """Indices of the image's channels that the model reads, in the model's order.

    Without a choice of the user's, an image with as many channels as the model reads is taken in
    order, unless names say otherwise; of more channels, those are taken that have the names of the
    model's. A name that is only a number, or that nobody gave, matches nothing.

    Raises
    ------
    OptionError
        If the user's choice does not fit, or none was made and more than one is possible.
    """
    needed = model.channels
    if wanted:
        if len(wanted) != len(needed):
            raise OptionError(
                f"{_reads(model)}, but {len(wanted)} were chosen; {image.url} has "
                f"{listed(image.channel_names)}"
            )
        return tuple(image.channel_index(channel) for channel in wanted)
    if image.num_channels == len(needed) == 1:
        return (0,)
    found = _by_name(image.channel_names, needed)
    if found:
        return found
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
    """One channel for each of the model's names; empty unless every name finds its own."""
    if not all(map(is_real, needed)):
        return ()
    found = [named(names, name) for name in needed]
    indices = tuple(matches[0] for matches in found if len(matches) == 1)
    return indices if len(set(indices)) == len(needed) else ()


def _in_order(image: Multiscale, model: ModelDescription) -> tuple[int, ...]:
    """All channels, as they stand; refused where a name says that they stand otherwise."""
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
