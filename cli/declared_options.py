"""Options of click, made from the fields of dataclasses that declare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from bigunet_cli.completing import MODEL_NAME, PATH
from bigunet_cli.help_sections import SectionedOption

from bigunet.errors import OptionError
from bigunet.options.composed_kinds import Each, Optional
from bigunet.options.lengths import Micrometres
from bigunet.options.option_fields import OptionField, described_by, option_fields
from bigunet.options.option_kinds import (
    Choice,
    Flag,
    ImagePath,
    Kind,
    ModelPath,
    Number,
    Path,
    Whole,
)

# Longer lists of words stand in the help text.
_WIDEST_CHOICE = 70

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """Text that a function reads; what it raises becomes a usage error."""

    def __init__(self, parse: Callable[[str], Any], name: str) -> None:
        self.parse = parse
        self.name = name

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except (ValueError, OptionError) as error:
            self.fail(str(error), param, ctx)


def declared_options(described: type, keyword: str = "{}") -> Callable[[F], F]:
    """Add the options that a dataclass declares to a command; each has the name of its field.

    Parameters
    ----------
    described : type
        The dataclass.
    keyword : str
        How Python writes the option, with ``{}`` for the name of the field.
    """

    def add(command: F) -> F:
        for one in reversed(option_fields(described)):
            attributes = _attributes(one) | {"keyword": keyword.format(one.name)}
            command = click.option(one.flag, one.name, **attributes)(command)
        return command

    return add


def described(kind: type[T], given: Mapping[str, Any], **others: Any) -> T:
    """The description that the values of a command line make up.

    Parameters
    ----------
    kind : type
        A dataclass whose options the command has.
    given : mapping
        Values by the names of the fields.
    **others
        Fields that are no options.
    """
    values = dict(given)
    for one in option_fields(kind):
        if isinstance(one.kind, ImagePath) and values[one.name]:
            values[one.name] = _absolute(values[one.name])
    return described_by(kind, values, **others)


def _absolute(address: str) -> str:
    # Zarr takes its time to be imported, which usage errors need not wait for.
    from bigunet.stores.access import normal_url

    return normal_url(address)


def _attributes(one: OptionField) -> dict[str, Any]:
    attributes = {
        "cls": SectionedOption,
        "section": one.section,
        "more": one.more,
        "kind": one.kind,
        "other_names": one.other_names,
        "help": _help(one),
        "show_default": not one.usual and one.default not in ("", (), None, {}),
    }
    if isinstance(one.kind, Flag):
        return attributes | {"is_flag": True, "default": False}
    kind = click_type(one.kind)
    if not isinstance(kind, click.Choice):
        attributes["metavar"] = one.metavar
    elif len(words := ", ".join(kind.choices)) > _WIDEST_CHOICE:
        attributes |= {"metavar": "NAME", "help": f"{_help(one)}  [one of: {words}]"}
    attributes["default"] = one.default
    if one.kind.is_repeated:
        attributes["default"] = [*map(one.kind.show, one.kind.items(one.default))]
    elif isinstance(kind, click.IntRange) and one.default < kind.min:
        attributes["default"] = None
    return attributes | {"type": kind, "multiple": one.kind.is_repeated}


def _help(one: OptionField) -> str:
    text = f"{one.help} May be repeated." if one.kind.is_repeated else one.help
    return f"{text}  [default: {one.usual}]" if one.usual else text


def click_type(kind: Kind) -> click.ParamType:  # type: ignore[type-arg]
    """Click's own type for plain kinds, with its messages and completion; else :class:`Parsed`."""
    if isinstance(kind, (Optional, Each)):
        return click_type(kind.kind)
    if isinstance(kind, Choice):
        return click.Choice(kind.words)
    if isinstance(kind, Whole):
        return click.INT if kind.least is None else click.IntRange(min=kind.least)
    if isinstance(kind, Path):
        return MODEL_NAME if isinstance(kind, ModelPath) else PATH
    if isinstance(kind, Number) and not isinstance(kind, Micrometres):
        return click.FLOAT
    return Parsed(kind.parse, kind.metavar)
