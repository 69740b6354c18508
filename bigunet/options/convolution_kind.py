"""The option that says how convolutions are computed."""

from __future__ import annotations

import re
from typing import Any

from bigunet.errors import OptionError
from bigunet.options.option_kinds import Kind

AUTO, DIRECT, WINOGRAD = "auto", "direct", "winograd"
_WORDS = (AUTO, DIRECT, WINOGRAD)
_LAYERS = re.compile(rf"{WINOGRAD}:([\w.]+(?:,[\w.]+)*)")


class Convolution(Kind):
    """``auto``, ``direct``, ``winograd``, or ``winograd:`` and names of layers."""

    metavar = "|".join(_WORDS)
    doc = "{" + ", ".join(f'"{word}"' for word in _WORDS) + "}"

    def check(self, value: Any, name: str) -> str:
        if is_convolution(value):
            return str(value)
        shown = " ".join(f"{value!r:.60}".split())
        raise OptionError(f"unknown convolution {shown}; known: {', '.join(_WORDS)}")


def is_convolution(value: Any) -> bool:
    """Whether a value is a choice that :class:`Convolution` knows."""
    return isinstance(value, str) and (value in _WORDS or _LAYERS.fullmatch(value) is not None)


def is_winograd(choice: str) -> bool:
    """Whether a checked choice computes any layer by Winograd's method."""
    return choice.startswith(WINOGRAD)


def named_layers(choice: str) -> tuple[str, ...]:
    """The layers that a checked choice names.

    Examples
    --------
    >>> named_layers("winograd:encoder.1.0,encoder.1.2")
    ('encoder.1.0', 'encoder.1.2')
    >>> named_layers("winograd")
    ()
    """
    match = _LAYERS.fullmatch(choice)
    return tuple(match[1].split(",")) if match else ()


def of_layers(layers: tuple[str, ...]) -> str:
    """The choice that computes these layers by Winograd's method, and all others directly."""
    return f"{WINOGRAD}:{','.join(layers)}" if layers else DIRECT
