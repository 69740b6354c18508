"""One declaration for each option: a field of a frozen dataclass that carries flag and help.

Click options, keywords of the verbs, words of job scripts and tables of the docs come from it.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, TypeVar

from bigunet.errors import BigUNetError, OptionError
from bigunet.options.option_kinds import Flag, Kind

T = TypeVar("T")
DOC = "doc"
"""Metadata of a field that is no option: what the docstring says of it, after its name."""
_KEY = "option"
# The first heading of a numpydoc docstring.
_HEADING = re.compile(r"^\w+\n-{3,}$", re.MULTILINE)
_DOC_WIDTH = 96


@dataclass(frozen=True, slots=True)
class OptionField:
    """What is declared of an option, beside the type of its field.

    Parameters
    ----------
    kind : Kind
        How its values are read, written and checked.
    help : str
        What ``--help`` says.
    section : str
        Heading under which ``--help`` lists it.
    flag : str
        Such as ``--level``.
    metavar : str
        How ``--help`` writes the value.
    usual : str
        The default in words, where the value itself does not say it.
    more : str
        What docstring and docs say besides ``help``.
    other_names : tuple of str
        Names that it has elsewhere or had before: who gives one is answered with this one.
    name : str
        Of the field, which is the keyword in Python.
    default : object
    """

    kind: Kind
    help: str
    section: str
    flag: str
    metavar: str
    usual: str
    more: str
    other_names: tuple[str, ...] = ()
    name: str = ""
    default: Any = None


def option(
    default: Any,
    kind: Kind,
    help: str,
    *,
    section: str,
    flag: str = "",
    metavar: str = "",
    usual: str = "",
    more: str = "",
    other_names: tuple[str, ...] = (),
) -> Any:
    """A field of a dataclass that declares an option; a dict as default is made anew each time."""
    shown = metavar or kind.metavar
    declared = OptionField(kind, help, section, flag, shown, usual, more, other_names)
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata={_KEY: declared})
    return dataclasses.field(default=default, metadata={_KEY: declared})


@cache
def _fields(described: Any) -> tuple[OptionField, ...]:
    return tuple(
        dataclasses.replace(
            field.metadata[_KEY],
            name=field.name,
            flag=field.metadata[_KEY].flag or f"--{field.name.replace('_', '-')}",
            default={} if field.default is MISSING else field.default,
        )
        for field in dataclasses.fields(described)
        if _KEY in field.metadata
    )


def option_fields(described: type) -> tuple[OptionField, ...]:
    """The options that a dataclass declares, in the order of its fields."""
    return _fields(described)


def documented(described: type[T]) -> type[T]:
    """Write the section Parameters of the class's docstring from its declarations."""
    entries = [
        f"{field.name} : {field.metadata[DOC]}"
        for field in dataclasses.fields(described)  # type: ignore[arg-type]
        if DOC in field.metadata
    ]
    for one in option_fields(described):
        usual = f"By default: {one.usual}." if one.usual else ""
        words = " ".join(part for part in (one.help, one.more, usual) if part)
        text = textwrap.fill(words, _DOC_WIDTH - 4)
        entries.append(f"{one.name} : {one.kind.doc}\n{textwrap.indent(text, '    ')}")
    parameters = "\n".join(["Parameters\n----------", *entries])
    doc = inspect.cleandoc(described.__doc__ or "")
    heading = _HEADING.search(doc)
    cut = heading.start() if heading else len(doc)
    described.__doc__ = "\n\n".join(p for p in (doc[:cut].strip(), parameters, doc[cut:]) if p)
    return described


def check_fields(described: Any, error: type[BigUNetError] = OptionError) -> None:
    """Bring each value of a frozen dataclass into its plain type; for ``__post_init__``.

    Raises
    ------
    BigUNetError
        The class that was given, if a value is of another kind.
    """
    for one in option_fields(type(described)):
        try:
            value = one.kind.check(getattr(described, one.name), one.name)
        except OptionError as wrong:
            raise error(str(wrong)) from wrong
        object.__setattr__(described, one.name, value)


def described_by(described: type[T], collected: Mapping[str, Any], **others: Any) -> T:
    """The description that values from the command line make up, by the names of the fields.

    Parameters
    ----------
    described : type
        A dataclass of options.
    collected : mapping
        Values that ``parse`` of each kind returned, a tuple of them for a repeated flag. None
        means that the flag was not given.
    **others
        Fields that are no options.
    """
    values = {}
    for one in option_fields(described):
        value = collected[one.name]
        if value is not None:
            values[one.name] = one.kind.gather(value, one.flag) if one.kind.is_repeated else value
    return described(**values, **others)


def option_words(described: Any) -> list[str]:
    """The words of a command line that ask for what differs from the defaults."""
    words = []
    for one in option_fields(type(described)):
        value = getattr(described, one.name)
        if value == one.default:
            continue
        if isinstance(one.kind, Flag):
            words.append(one.flag)
        else:
            words += [f"{one.flag}={one.kind.show(item)}" for item in one.kind.items(value)]
    return words


def chosen(
    described: type[T], options: T | None, keywords: Mapping[str, Any], verb: Callable[..., Any]
) -> T:
    """The options that a caller of a verb gave, as an object, as keywords, or as both.

    Parameters
    ----------
    described : type
        The dataclass of the options.
    options : described, optional
    keywords : mapping
        What the verb took as ``**keywords``.
    verb : callable
        The verb itself, for its name and the names of its own parameters.

    Raises
    ------
    OptionError
        If there is no such option, an option is in both, or a value is none of those possible.
    """
    check_keywords(verb, keywords, described)
    return with_keywords(described, options, keywords, verb)


def check_keywords(verb: Callable[..., Any], keywords: Mapping[str, Any], *classes: type) -> None:
    """Raise OptionError for a keyword that is a field of none of the classes."""
    declared = [one for described in classes for one in option_fields(described)]
    known = [one.name for one in declared]
    renamed = {other: one.name for one in declared for other in one.other_names}
    for name in keywords:
        if name in renamed:
            raise OptionError(
                f"{verb.__name__}() has no keyword {name!r}; its name is {renamed[name]}"
            )
        if name not in known:
            own = inspect.signature(verb).parameters.values()
            names = [*known, *(p.name for p in own if p.kind is not p.VAR_KEYWORD)]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {_listed(names)}"
            raise OptionError(f"{verb.__name__}() has no keyword {name!r}; {hint}")


def _listed(names: list[str], limit: int = 12) -> str:
    return ", ".join(names[:limit]) + (" …" if len(names) > limit else "")


def with_keywords(
    described: type[T],
    options: T | None,
    keywords: Mapping[str, Any],
    verb: Callable[..., Any],
    *,
    name: str = "options",
) -> T:
    """The options with the keywords that are fields of theirs; see :func:`chosen`."""
    if options is None:
        options = described()
    if not isinstance(options, described):
        raise OptionError(f"{name} is {options!r:.60}: give {described.__name__} or keywords")
    taken = {}
    for one in option_fields(described):
        if one.name in keywords:
            if getattr(options, one.name) != one.default:
                raise OptionError(
                    f"{verb.__name__}() got {one.name} as a keyword and in {name}; give one of them"
                )
            taken[one.name] = keywords[one.name]
    return dataclasses.replace(options, **taken) if taken else options  # type: ignore[type-var]
