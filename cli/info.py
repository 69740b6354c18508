"""``bigunet info``."""

from __future__ import annotations

from typing import Any

import click
from bigunet_cli.common_options import axes_option, json_option, trust_option
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.loading import loading
from bigunet_cli.words import counted, print_json, say, shown

_EXTENTS = {
    "block_shape",
    "chunks",
    "halo",
    "image_shape",
    "scale",
    "shape",
    "shards",
    "stride",
    "tile",
    "tile_shape",
    "voxel_size_um",
}
_WITH_RANGES = {"augmentation", "roi"}


@click.command(
    cls=SectionedCommand,
    short_help="Describe an image, a plate, a model or an output.",
    examples="""
    bigunet info slide.svs
        List axes, levels, channels and the size of a voxel.
    bigunet info nuclei --json
        Describe a bundled model for a program.
    """,
)
@click.argument("path", metavar="PATH")
@axes_option
@trust_option
@json_option
def info(path: str, axes: str, trust: bool, as_json: bool) -> None:
    """Say what PATH is: an image, a plate, a model (name or file), or an output of bigunet."""
    with loading():
        from bigunet.path_info import info as describe

    description = describe(path, axes=axes, trust=trust)
    for warning in description.get("warnings", ()):
        say(f"Warning: {warning}")
    if as_json:
        print_json(description)
        return
    if description["kind"] == "model":
        description |= {"objects": objects_line(description.get("objects"))}
    _print(shown(description), indent="")


def objects_line(objects: dict[str, Any] | None) -> str:
    """What a model file says of its objects, in one line."""
    if objects is None:
        return "none; --object-class names the class that is numbered"
    line = f"connected {objects['object_class']}"
    if objects["smallest"]:
        line += f" of {objects['smallest']:,} or more voxels"
    if objects["border"] is None:
        return line
    width = counted(objects["border_width"], "voxel")
    return f"{line}, grown by {width} into {objects['border']}"


def _print(value: dict[str, Any], indent: str, *, ranges: bool = False) -> None:
    for name, content in value.items():
        if isinstance(content, dict) and content:
            click.echo(f"{indent}{name}:")
            _print(content, indent + "  ", ranges=name in _WITH_RANGES)
        elif isinstance(content, (list, tuple)) and content and isinstance(content[0], dict):
            click.echo(f"{indent}{name}:")
            for number, item in enumerate(content):
                parts = ", ".join(f"{k} {_word(v, _sign(k))}" for k, v in item.items())
                click.echo(f"{indent}  {number}: {parts}")
        else:
            sign = " to " if ranges else _sign(name)
            click.echo(f"{indent}{name}: {_word(content, sign)}")


def _sign(name: str) -> str:
    return " × " if name in _EXTENTS else ", "


def _word(value: Any, sign: str) -> str:
    if isinstance(value, (list, tuple)):
        return sign.join(map(str, value)) if value else "none"
    return "none" if value in (None, "", {}) else str(value)
