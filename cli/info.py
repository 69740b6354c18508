"""``bigunet info``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.options import json_option
from bigunet_cli.words import print_json

from bigunet.workflows.info import info as describe


@click.command()
@click.argument("path", metavar="PATH")
@json_option
def info(path: str, as_json: bool) -> None:
    """Say what PATH is: an image, a plate, a model (name or file), or an output of bigunet."""
    found = describe(path)
    if as_json:
        print_json(found)
    else:
        _print(found, indent="")


def _print(value: dict[str, Any], indent: str) -> None:
    for name, content in value.items():
        if isinstance(content, dict) and content:
            click.echo(f"{indent}{name}:")
            _print(content, indent + "  ")
        elif isinstance(content, (list, tuple)) and content and isinstance(content[0], dict):
            click.echo(f"{indent}{name}:")
            for number, item in enumerate(content):
                told = ", ".join(f"{k} {_word(v)}" for k, v in item.items())
                click.echo(f"{indent}  {number}: {told}")
        else:
            click.echo(f"{indent}{name}: {_word(content)}")


def _word(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        sign = ", " if any(isinstance(item, str) for item in value) else " × "
        return sign.join(map(str, value)) if value else "none"
    return "none" if value in (None, "", {}) else str(value)
