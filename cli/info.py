"""``bigunet info``."""

from __future__ import annotations

import click
from bigunet_cli.common_options import axes_option, json_option, option, trust_option
from bigunet_cli.completing import MODEL_NAME
from bigunet_cli.help_sections import MESSAGES, SectionedCommand
from bigunet_cli.info_words import print_description
from bigunet_cli.loading import loading
from bigunet_cli.words import print_json, say, shown


@click.command(
    cls=SectionedCommand,
    short_help="Describe an image, a plate, a model or an output.",
    examples="""
    bigunet info slide.svs
        List axes, levels, channels and the size of a voxel.
    bigunet info nuclei --full
        Describe a bundled model and how it was trained.
    """,
)
@click.argument("path", type=MODEL_NAME, metavar="PATH")
@axes_option
@option(
    "--full",
    section=MESSAGES,
    is_flag=True,
    help="Print the history of a model, and all options of an output.",
)
@trust_option
@json_option
def info(path: str, axes: str, full: bool, trust: bool, as_json: bool) -> None:
    """Say what PATH is: an image, a plate, a model (name or file), or an output of bigunet."""
    with loading(dask=False):
        from bigunet.path_info import info as describe

    description = describe(path, axes=axes, trust=trust)
    for warning in description.get("warnings", ()):
        say(f"Warning: {warning}")
    if as_json:
        print_json(description)
        return
    print_description(shown(description), full=full)
