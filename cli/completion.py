"""``bigunet completion``."""

from __future__ import annotations

import click
from bigunet_cli.help_sections import SectionedCommand
from bigunet_cli.main import COMPLETE_VARIABLE, cli
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    cls=SectionedCommand,
    short_help="Print what lets a shell complete words with the Tab key.",
    examples="""
    eval "$(bigunet completion bash)"
        A line for ~/.bashrc; zsh in place of bash is one for ~/.zshrc.
    bigunet completion fish | source
        A line for ~/.config/fish/config.fish.
    """,
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print a script for SHELL: the Tab key then completes commands, options, models and files."""
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "bigunet", COMPLETE_VARIABLE).source())
