"""Checks Dask's own configuration, in files and in the environment.

Dask reads it at its import. A value of a wrong type ends in a traceback at the place of its use.
Here each value is compared with the schema and the defaults that come with Dask.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bigunet.errors import ClusterError

_PACKAGES = ("dask", "distributed")
_NO_SETTINGS = ("DASK_CONFIG", "DASK_INTERNAL_INHERIT_CONFIG", "DASK_ROOT_CONFIG")
_KINDS: dict[str, tuple[type, ...]] = {
    "array": (list, tuple),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    # Dask also accepts numbers as times and sizes.
    "string": (str, int, float),
    "null": (),
}
_WORDS = {"array": "a list", "boolean": "true or false", "integer": "a whole number",
          "number": "a number", "object": "a group of settings", "string": "a word"}  # fmt: skip


def check_dask_settings() -> None:
    """Raise if Dask cannot use its configuration.

    Raises
    ------
    ClusterError
        The line names the file or the environment variable, the setting and its value.
    """
    try:
        import dask
    except (AttributeError, TypeError, ValueError) as error:
        raise ClusterError(_unreadable(error)) from error
    for path, settings in dask.config.collect_yaml(dask.config.paths, return_paths=True):
        _check(str(path), settings)
    for name in sorted(os.environ):
        if name.startswith("DASK_") and name not in _NO_SETTINGS:
            _check(name, dask.config.collect_env({name: os.environ[name]}))


def _unreadable(error: Exception) -> str:
    """Dask's message about a file that it cannot parse, without the excerpt of the file."""
    said = " ".join(str(error).split("original error message:")[0].split())
    places = re.findall(r"line \d+, column \d+", str(error))
    where = f" at {places[-1]}" if places else ""
    return f"Dask's configuration cannot be read: {said.rstrip(',. ')}{where}; correct or remove it"


def _check(source: str, settings: Mapping[str, Any]) -> None:
    if not settings:
        return
    schema, defaults = _known()
    for name, value, expected in _wrong(settings, schema, defaults, ""):
        raise ClusterError(
            f"Dask's configuration in {source}: {name} is {_short(value)}, but must be {expected}; "
            "correct or remove it"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


@functools.cache
def _known() -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema and the defaults of all settings, from files in Dask's packages."""
    import yaml

    schema: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        for file, known in ((f"{package}-schema.yaml", schema), (f"{package}.yaml", defaults)):
            # Another release of Dask may lack the file: then nothing is known to be wrong.
            if (folder / file).is_file():
                content = yaml.safe_load((folder / file).read_text("utf-8")) or {}
                known.update(content.get("properties", {}) if known is schema else content)
    # dask-jobqueue has no schema, but each of its settings is the group of a batch system.
    schema["jobqueue"] = {"type": "object", "each": {"type": "object"}}
    return {"type": "object", "properties": schema}, defaults


def _wrong(
    value: Any, schema: Mapping[str, Any], default: Any, name: str
) -> Iterator[tuple[str, Any, str]]:
    """Name, value and expected type of each setting that Dask cannot use."""
    if value is None:
        # None counts as not set.
        return
    kinds = schema.get("oneOf") or [schema]
    if not any(_fits(value, kind) for kind in kinds):
        yield name.lstrip("."), value, " or ".join(map(_expected, kinds))
        return
    if isinstance(value, Mapping):
        properties = {_plain(key): of for key, of in schema.get("properties", {}).items()}
        defaults = default if isinstance(default, Mapping) else {}
        for key, one in value.items():
            known = properties.get(_plain(key), schema.get("each", {}))
            yield from _wrong(one, known, defaults.get(_plain(key)), f"{name}.{key}")
    elif isinstance(default, str) and _is_measure(default) and not _is_measure(value):
        yield name.lstrip("."), value, f"a time or a size, such as {default}"


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    if "enum" in schema:
        return any(value is one or (value == one and one is not False) for one in schema["enum"])
    kinds = _kinds(schema)
    if not kinds:
        return True
    # In Python, True is a number.
    if isinstance(value, bool):
        return "boolean" in kinds
    if not any(isinstance(value, _KINDS.get(kind, object)) for kind in kinds):
        return False
    number = value if isinstance(value, (int, float)) else math.nan
    if number < schema.get("minimum", number) or number > schema.get("maximum", number):
        return False
    return not number <= schema.get("exclusiveMinimum", -math.inf)


def _expected(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        choices = (one for one in schema["enum"] if one is not None)
        return " or ".join("false" if one is False else str(one) for one in choices)
    words = [_WORDS[kind] for kind in _kinds(schema) if kind != "null"]
    limits = [f"from {schema['minimum']}"] if "minimum" in schema else []
    limits += [f"above {schema['exclusiveMinimum']}"] if "exclusiveMinimum" in schema else []
    limits += [f"to {schema['maximum']}"] if "maximum" in schema else []
    return " ".join([" or ".join(words), *limits])


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a value may have; empty if it may have any."""
    kinds = schema.get("type", "object" if "properties" in schema else [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _plain(key: Any) -> str:
    """The name of a setting with hyphens: Dask also writes it with underscores."""
    return str(key).replace("_", "-")


def _is_measure(value: Any) -> bool:
    """Whether a value is a time or a size, such as 30s or 64MiB."""
    from dask.utils import parse_bytes, parse_timedelta

    for parse in (parse_timedelta, parse_bytes):
        try:
            parse(value)
        except (KeyError, TypeError, ValueError):
            continue
        return True
    return False
