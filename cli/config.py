"""``--config``: options of a command from a TOML file; what the command line says wins."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from bigunet_cli.common_options import option
from bigunet_cli.help_sections import FILE, SectionedOption
from click.core import ParameterSource

from bigunet.errors import OptionError
from bigunet.options.option_kinds import Flag
from bigunet.options.toml_text import NOT_IN_FILES

F = TypeVar("F", bound=Callable[..., Any])
_FILE = "bigunet.config"
# Tables of the file, for the options that Python takes as an object of its own.
_TABLES = {"ClusterSpec": ("client",), "JobSpec": ("client", "job")}
Key = tuple[str, ...]
_TYPED, _FILED = ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP


def config_option(*, unused: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Add ``--config`` to a command; its keys are the keywords of Python.

    Parameters
    ----------
    unused : tuple of str
        Keys and tables of other commands that this one passes over, so that they may share a file.
    """

    def read(context: click.Context, _param: click.Parameter, path: str | None) -> None:
        if path is not None:
            found = _values(path, context.command, unused)
            context.meta[_FILE] = path
            context.default_map = {**found, **(context.default_map or {})}

    add = option(
        "--config",
        section=FILE,
        is_eager=True,
        expose_value=False,
        callback=read,
        type=click.Path(),
        metavar="FILE.toml",
        help="Take options from a TOML file; its keys are the names in Python, such as block_shape "
        "= [512, 512]. Options of the command line win.",
    )
    return lambda command: add(_checking_paths(command))


def _checking_paths(command: F) -> F:
    @functools.wraps(command)
    def checked(*arguments: Any, **given: Any) -> Any:
        _check_paths(click.get_current_context())
        return command(*arguments, **given)

    return cast(F, checked)


def _check_paths(context: click.Context) -> None:
    """Refuse paths that come partly from the command line and partly from the file.

    Raises
    ------
    OptionError
        If so: an output that belongs to another input must not be taken for that of this one.
    """
    given = context.default_map or {}
    places: dict[ParameterSource | None, list[str]] = {}
    for param in context.command.params:
        name = str(param.name)
        if isinstance(param, click.Argument) and context.params.get(name):
            source = context.get_parameter_source(name)
            places.setdefault(source, []).append(param.make_metavar(context).strip("[]"))
            # OUT may be left out: then the one of the file would be lost without a word.
            fewer = len(context.params[name]) < len(given.get(name, ()))
            if param.nargs == -1 and fewer and not context.params.get("into"):
                places = {_TYPED: ["IN"], _FILED: ["OUT"]}
    typed, filed = places.get(_TYPED, []), places.get(_FILED, [])
    if typed and filed:
        raise OptionError(
            f"{', '.join(typed)} is on the command line, and {', '.join(filed)} in "
            f"{context.meta[_FILE]}: give all paths on the command line, or none"
        )


def comes_from_file(context: click.Context, name: str) -> bool:
    """Whether the value of a parameter comes from the file of ``--config``."""
    return context.get_parameter_source(name) is _FILED


def _values(path: str, command: click.Command, unused: tuple[str, ...]) -> dict[str, Any]:
    """Values for click by the names of its parameters."""
    known = _known(command)
    values: dict[str, Any] = {}
    content = _content(path)
    if "target" in content and "source" not in content and ("source",) in known:
        raise OptionError(f"{path} has a target without a source; give both")
    for key, value in _flat(_ordered(content), known):
        if key[0] in NOT_IN_FILES:
            raise OptionError(
                f"{path}: {key[0]} is taken from the command line alone, as a file may be of "
                f"others; give --{key[0]}"
            )
        if key in known:
            param = _fitting(known[key], value)
            made = _typed(param, value, ".".join(key), path)
            # IN and OUT of segment are one argument.
            several = param.nargs == -1
            name = str(param.name)
            values[name] = [*values.get(name, ()), made] if several else made
        elif key[0] not in unused:
            raise OptionError(f"{path}: {_unknown(key, known)}")
    return values


def _content(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path} is no TOML: {' '.join(str(error).split())}") from error


def _ordered(content: dict[str, Any]) -> dict[str, Any]:
    """The content with the source before the target."""
    return {"source": content["source"], **content} if "source" in content else content


def _known(command: click.Command) -> dict[Key, list[click.Parameter]]:
    """The parameters of a command by the keys that stand for them."""
    known: dict[Key, list[click.Parameter]] = {}
    for param in command.params:
        for key in _keys(param):
            known.setdefault(key, []).append(param)
    return known


def _keys(param: click.Parameter) -> Iterator[Key]:
    if isinstance(param, click.Argument):
        yield from [("source",), ("target",)] if param.name == "sources" else [(str(param.name),)]
    elif isinstance(param, SectionedOption):
        owner, _, name = param.keyword.partition("(")
        if owner in _TABLES:
            yield (*_TABLES[owner], name.partition("=")[0])
        elif owner.isidentifier() and not name:
            yield (owner,)


def _flat(
    table: Mapping[str, Any], known: Mapping[Key, Any], above: Key = ()
) -> Iterator[tuple[Key, Any]]:
    """Keys and values; a table is a value where a key stands for it as a whole."""
    for name, value in table.items():
        key = (*above, name)
        if isinstance(value, dict) and key in _TABLES.values() and key not in known:
            yield from _flat(value, known, key)
        else:
            yield key, value


def _unknown(key: Key, known: Mapping[Key, list[click.Parameter]]) -> str:
    names = [".".join(one) for one in known]
    name = ".".join(key)
    for one, params in known.items():
        if any(key[-1] in getattr(param, "other_names", ()) for param in params):
            return f"unknown key {name!r:.60}; its name is {'.'.join(one)}"
    near = difflib.get_close_matches(name, names, n=1)
    if not near:
        near = [one for one in names if one.rpartition(".")[2] == name]
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names[:12])} …"
    return f"unknown key {name!r:.60}; {hint}"


def _fitting(params: list[click.Parameter], value: Any) -> click.Parameter:
    """The parameter that takes a value of this form: two texts, or another."""
    several = isinstance(value, list)
    return next((one for one in params if (one.nargs == 2) == several), params[0])


def _typed(param: click.Parameter, value: Any, key: str, path: str) -> Any:
    """The value as click takes it: checked as Python checks it, then as the words of a command."""
    kind = getattr(param, "kind", None)
    if kind is None:
        return _text(param, value, key, path)
    try:
        checked = kind.check(value, key)
    except OptionError as error:
        message = str(error)
        where = path if key in message else f"{path}: {key}"
        raise OptionError(f"{where}: {message}") from error
    if isinstance(kind, Flag):
        return checked
    words = [kind.show(item) for item in kind.items(checked)]
    return words if kind.is_repeated else words[0]


def _text(param: click.Parameter, value: Any, key: str, path: str) -> Any:
    """Texts for options that no class declares: paths and the like."""
    if param.nargs == 2:
        if isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value):
            return value
        raise OptionError(f"{path}: {key} is {value!r:.60}; give two texts in a list")
    if isinstance(value, str) or (isinstance(value, dict) and getattr(param.type, "table", False)):
        return value
    raise OptionError(f"{path}: {key} is {value!r:.60}; give a text")
