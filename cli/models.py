"""``bigunet models``."""

from __future__ import annotations

import click
from bigunet_cli.common_options import json_option
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import print_json


@click.command(
    cls=SectionedCommand,
    examples="""
    bigunet models
        List the names that --model takes.
    bigunet models --json
        List them with classes, cards and training, for a program.
    """,
)
@json_option
def models(as_json: bool) -> None:
    """List the models that come with bigunet."""
    with loading(dask=False):
        from bigunet.model.files.model_file import load_model
        from bigunet.model.files.names import bundled_models

    described = {name: load_model(name).description.to_dict() for name in bundled_models()}
    if as_json:
        print_json(described)
        return
    for name, description in described.items():
        classes = ", ".join(c["name"] for c in description["classes"])
        card = description["card"]
        click.echo(f"{name}: {classes}; {card.get('data', '')} ({card.get('licence', '')})")
