"""Each command has two examples at the end of ``--help``, and the command takes their words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from bigunet_cli.declared_options import described
from bigunet_cli.help_sections import WithExamples
from bigunet_cli.main import cli

from bigunet import EvaluateOptions, Recipe, SegmentOptions, TrainOptions
from bigunet.conversion.convert_options import ConvertOptions
from bigunet.engine.clusters.spec import JobSpec
from bigunet.jobs.job_request import JobRequest
from bigunet.options.option_fields import option_fields

DESCRIPTIONS = (
    ConvertOptions,
    EvaluateOptions,
    JobRequest,
    JobSpec,
    Recipe,
    SegmentOptions,
    TrainOptions,
)


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """The group, its commands, and theirs, by the words that call them."""
    yield "bigunet", cli
    top = click.Context(cli)
    for name in cli.list_commands(top):
        command = cli.get_command(top, name)
        assert command is not None
        yield f"bigunet {name}", command
        if isinstance(command, click.Group):
            for other, below in command.commands.items():
                yield f"bigunet {name} {other}", below


COMMANDS = dict(all_commands())
EXAMPLES = [
    (words, line)
    for words, command in COMMANDS.items()
    for line in getattr(command, "examples", ())
    if line.startswith("bigunet ")
]


@pytest.mark.parametrize("words", COMMANDS)
def test_help_ends_with_two_examples_or_more(words: str) -> None:
    command = COMMANDS[words]
    assert isinstance(command, WithExamples)
    assert len(command.examples) >= 2
    text = command.get_help(click.Context(command, info_name=words, **command.context_settings))
    last = text.rpartition("\nExamples:\n")[2].splitlines()
    assert [line.strip() for line in last[::2]] == list(command.examples)
    for line, meaning in command.examples.items():
        assert len(line) <= 90
        assert meaning[0].isupper()
        assert meaning.endswith(".")


@pytest.mark.parametrize(("words", "line"), EXAMPLES)
def test_the_command_takes_the_words_of_its_examples(words: str, line: str) -> None:
    assert line.startswith(words)
    context: click.Context = click.Context(cli, **cli.context_settings)
    command: click.Command = cli
    # What the shell takes for itself.
    arguments = shlex.split(re.split(" [>|] ", line)[0])[1:]
    while isinstance(command, click.Group) and arguments[0] in command.list_commands(context):
        _, below, arguments = command.resolve_command(context, arguments)
        assert below is not None
        command = below
    if "--help" in arguments:
        return
    given = command.make_context(line, list(arguments), parent=context).params
    for kind in DESCRIPTIONS:
        if all(one.name in given for one in option_fields(kind)):
            described(kind, given)
