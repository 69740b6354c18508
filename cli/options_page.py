"""The page ``docs/options.md``: ``python -m bigunet_cli.options_page >docs/options.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from bigunet_cli.convert import convert
from bigunet_cli.demo import demo
from bigunet_cli.evaluate import evaluate
from bigunet_cli.export import export
from bigunet_cli.help_sections import SectionedCommand, SectionedOption
from bigunet_cli.info import info
from bigunet_cli.jobs import slurm
from bigunet_cli.measure import measure
from bigunet_cli.models import models
from bigunet_cli.plan import plan
from bigunet_cli.preview import preview
from bigunet_cli.quantise import quantise
from bigunet_cli.segment import segment
from bigunet_cli.train import train
from bigunet_cli.verify import verify
from bigunet_cli.view import view

# Commands, and an earlier one with options that are not listed again.
_COMMANDS: dict[str, tuple[click.Command, str]] = {
    "segment": (segment, ""),
    "plan": (plan, "segment"),
    "verify": (verify, ""),
    "view": (view, ""),
    "preview": (preview, "segment"),
    "train": (train, ""),
    "convert": (convert, "segment"),
    "evaluate": (evaluate, ""),
    "export": (export, ""),
    "quantise": (quantise, ""),
    "measure": (measure, ""),
    "jobs slurm": (slurm, "segment"),
    "demo": (demo, "segment"),
    "info": (info, ""),
    "models": (models, ""),
}
_USUAL = re.compile(r"\s*\[default: (.*)\]$")
_ONE_OF = re.compile(r"\s*\[one of: .*\]$")
_HEAD = """\
# Options

Each option of the command line, and the keyword that stands for it in Python:
`bigunet segment in.zarr out.zarr --level 1 --channel DAPI` is
`bigunet.segment("in.zarr", "out.zarr", level=1, channels=["DAPI"])`. An option that may be repeated
is a list or tuple in Python. `ClusterSpec(kind=…)` is given as `client=bigunet.ClusterSpec(…)`, and
`JobSpec(cores=…)` as `job=bigunet.JobSpec(…)` of it.

This page is written by `python -m bigunet_cli.options_page >docs/options.md`.
"""
_COLUMNS = "| option | value | in Python | default | meaning |\n| --- | --- | --- | --- | --- |"


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for name in _COMMANDS for line in _command(name))])


def _command(name: str) -> Iterator[str]:
    command, other = _COMMANDS[name]
    known = _sections(_COMMANDS[other][0]) if other else {}
    sections = _sections(command)
    yield f"## bigunet {name}\n"
    if other:
        yield f"Takes these options of `{other}`: {', '.join(_shared(sections, known))}.\n"
    for section, rows in sections.items():
        own = [row for row in rows if row not in known.get(section, ())]
        if own:
            yield "\n".join([f"### {section}\n", _COLUMNS, *own, ""])


def _shared(sections: dict[str, list[str]], known: dict[str, list[str]]) -> Iterator[str]:
    """Names of sections that two commands have in common, or flags of a part of one."""
    for section, rows in sections.items():
        if rows == known.get(section):
            yield f"all of {section}"
        else:
            yield from (row.split(" | ")[0][2:] for row in rows if row in known.get(section, ()))


def _sections(command: click.Command) -> dict[str, list[str]]:
    assert isinstance(command, SectionedCommand)
    context = click.Context(command)
    return {
        section: [_row(one, context) for one in options if isinstance(one, SectionedOption)]
        for section, options in command.sections(context).items()
    }


def _row(option: SectionedOption, context: click.Context) -> str:
    text = _ONE_OF.sub("", option.help or "")
    usual = _USUAL.search(text)
    default = usual[1] if usual else option.get_help_extra(context).get("default", "")
    meaning = f"{_USUAL.sub('', text)} {option.more}".strip()
    flags = " ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    keyword = f"`{option.keyword}`" if option.keyword else ""
    cells = (flags, _value(option, context), keyword, default, meaning)
    return f"| {' | '.join(cell.replace('|', ' or ') for cell in cells)} |"


def _value(option: SectionedOption, context: click.Context) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return ", ".join(f"`{word}`" for word in option.type.choices)
    return f"`{option.make_metavar(context)}`"


if __name__ == "__main__":
    click.echo(page(), nl=False)
