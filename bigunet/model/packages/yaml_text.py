"""YAML as plain data: nothing but texts, numbers, lists and mappings, by the rules of YAML 1.2."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from bigunet.errors import ModelError

_MOST_BYTES = 2_000_000
_MOST_ALIASES = 200
_MOST_VALUES = 200_000
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML knows the rules of YAML 1.1, in which 1e-6 and dates are no texts and numbers."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge no mappings: YAML 1.2 has no merge keys, and merges of merges double."""


for _tag, _rule, _first in (
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", re.compile(r"^[-+]?[0-9]+$"), "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _rule, list(_first))


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(str(node.value).lower().replace(".inf", "inf").replace(".nan", "nan"))


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(node.value)


_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def read_yaml(content: bytes) -> dict[str, Any]:
    r"""Read a mapping.

    Raises
    ------
    ModelError
        If it is no YAML, no mapping, or larger than any description.

    Examples
    --------
    >>> read_yaml(b"axes: [y, x]\neps: 1e-6\nday: 2020-01-01")
    {'axes': ['y', 'x'], 'eps': 1e-06, 'day': '2020-01-01'}
    """
    if len(content) > _MOST_BYTES:
        raise ModelError(f"a description of {len(content)} bytes; at most {_MOST_BYTES} are read")
    try:
        text = content.decode("utf-8-sig")
        if len(re.findall(r"(?:^|[\s\[{,])\*\w", text)) > _MOST_ALIASES:
            raise ModelError(f"more than {_MOST_ALIASES} YAML aliases: no description needs them")
        # A safe loader, which makes plain data only.
        data = yaml.load(text, _Loader)
        _check_size(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        line = " ".join(str(error).split())[:100]
        raise ModelError(f"is no YAML: {line}") from error
    if not isinstance(data, dict):
        raise ModelError("holds no YAML mapping")
    return data


def _check_size(data: object) -> None:
    """Raise ModelError if aliases of aliases describe more values than a description needs."""
    left, rest = _MOST_VALUES, [data]
    while rest:
        one = rest.pop()
        left -= 1
        if left < 0:
            raise ModelError(
                f"is YAML of more than {_MOST_VALUES} values: no description needs them"
            )
        if isinstance(one, dict):
            rest += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            rest += one
