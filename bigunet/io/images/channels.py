"""Names of channels, and which channel a user's word or a model's name means.

A name is the text that the writer of the image gave to the channel. It is empty where there is
none; messages then show the index.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Sequence

from bigunet.errors import OptionError
from bigunet.io.images.limits import some_of

COLOURS = ("red", "green", "blue")

_NUM_NAMED = 5
_LONGEST_SHOWN = 60
_BY_INDEX = "index:"
_BY_NAME = "name:"
_COLOUR_CODES = ("ff0000", "00ff00", "0000ff")
_MADE_UP = re.compile(r"(c|ch|chan|channel)?[\s_.:#-]*0*\d{1,2}([.:_]\d+)*", re.IGNORECASE)
"""Names that only count the channels. Longer numbers are wavelengths: these are real names."""


def shown(names: Sequence[str], index: int) -> str:
    """The name of a channel, or its index where it has no name."""
    return names[index] or str(index)


def listed(names: Sequence[str]) -> str:
    """List channels with index and name, for a message.

    >>> listed(("DAPI", "")), listed(("", "", ""))
    ("0 'DAPI', 1 (no name)", '0, 1, 2 (without names)')
    """
    if not any(names):
        suffix = " (without names)" if len(names) > 1 else " (without a name)"
        return some_of(map(str, range(len(names))), len(names)) + suffix
    items = (f"{k} {_quoted(name)}" if name else f"{k} (no name)" for k, name in enumerate(names))
    return some_of(items, len(names))


def _quoted(name: str) -> str:
    """Quote a name for a message: on one line, and cut where it is long."""
    return repr(name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…")


def is_real(name: str) -> bool:
    """Whether a name says what a channel shows, and does not only count the channels.

    >>> [is_real(name) for name in ("DAPI", "488", "1", "", "Channel 0", "ch_2", "Channel:0:1")]
    [True, True, False, False, False, False, False]
    """
    return bool(name.strip()) and not _MADE_UP.fullmatch(name.strip())


def named(names: Sequence[str], name: str) -> list[int]:
    """Indices of the channels of this name; if there is none, upper and lower case count as equal.

    >>> named(("DAPI", "dapi", "GFP"), "dapi"), named(("DAPI", "GFP"), " gfp")
    ([1], [1])
    """
    exact = [k for k, known in enumerate(names) if known and known == name]
    if exact:
        return exact
    plain = name.strip().casefold()
    return [k for k, known in enumerate(names) if plain and known.strip().casefold() == plain]


def find_channel(names: Sequence[str], channel: str | int, where: str) -> int:
    """Index of the channel that a user asks for.

    Parameters
    ----------
    names : sequence of str
        Names of all channels of the image; empty where a channel has none.
    channel : str or int
        A whole number is an index. Text is ``index:1``, ``name:DAPI``, a name, or an index.
    where : str
        The image's address.

    Raises
    ------
    OptionError
        If there is no such channel, several have this name, or the text is the name of one
        channel and the index of another.
    """
    if isinstance(channel, numbers.Integral) and not isinstance(channel, bool):
        return _at(names, int(channel), channel, where)
    if not isinstance(channel, str):
        raise OptionError(f"channel {channel!r} of {where}: give an index or a name")
    if channel.startswith(_BY_INDEX):
        return _at(names, _index(channel.removeprefix(_BY_INDEX)), channel, where)
    if channel.startswith(_BY_NAME):
        return _of_name(names, channel.removeprefix(_BY_NAME), channel, where)
    index = _index(channel)
    if index is None or index >= len(names):
        return _of_name(names, channel, channel, where)
    others = [k for k in named(names, channel) if k != index]
    if others:
        raise OptionError(
            f"channel {channel!r} of {where} is the name of channel {others[0]} and the index of "
            f"channel {index} ({_quoted(names[index])}): say --channel index:{channel} or "
            f"--channel name:{channel}"
        )
    return index


def channel_word(channel: str | int) -> str:
    """The name or index that a user asked for, without the prefix ``name:`` or ``index:``.

    >>> channel_word("name:DAPI"), channel_word("index:1"), channel_word(2)
    ('DAPI', '1', '2')
    """
    return str(channel).removeprefix(_BY_INDEX).removeprefix(_BY_NAME)


def are_colours(names: Sequence[str], codes: Sequence[str]) -> bool:
    """Whether channels are red, green, blue, and perhaps opacity, by their names or colours.

    Parameters
    ----------
    names : sequence of str
    codes : sequence of str
        Colour of each channel as ``RRGGBB``; empty where the image states none.
    """
    if len(names) not in (3, 4):
        return False
    spoken = tuple(name.strip().casefold() for name in names[:3])
    if spoken in (COLOURS, ("r", "g", "b")):
        return True
    plain = tuple(code.lower().removeprefix("#")[:6] for code in codes[:3])
    return plain == _COLOUR_CODES and not any(map(is_real, names))


def _index(text: str) -> int | None:
    # As text first: Python refuses to read numbers of thousands of digits.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _at(names: Sequence[str], index: int | None, channel: object, where: str) -> int:
    if index is None or not 0 <= index < len(names):
        raise _unknown(names, channel, where)
    return index


def _of_name(names: Sequence[str], name: str, channel: object, where: str) -> int:
    matches = named(names, name)
    if not matches:
        raise _unknown(names, channel, where)
    if len(matches) > 1:
        raise OptionError(
            f"{where}: channels {matches[:_NUM_NAMED]} are all named {name!r}; "
            f"give the index instead, such as index:{matches[0]} ({listed(names)})"
        )
    return matches[0]


def _unknown(names: Sequence[str], channel: object, where: str) -> OptionError:
    return OptionError(f"{where} has no channel {channel!r}; its channels are {listed(names)}")
