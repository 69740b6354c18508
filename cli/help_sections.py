"""Sections of ``--help``: options of one subject, then examples."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import click

from bigunet.options.option_kinds import Kind

RUN, MESSAGES, PLATE = "Begin or go on", "Messages", "Plate"
FILE = "Options from a file"
# Other sections stand between these two groups, in the order of the options.
_FIRST = ("Image", PLATE, "Images", "Images and labels", "Labels and classes", "Network",
          "Grey values")  # fmt: skip
_LAST = ("Output", "Model file", RUN, "Machine", "Workers", "Jobs of a batch system", "Jobs",
         FILE, MESSAGES)  # fmt: skip
_WIDEST_NAME = 26


class SectionedOption(click.Option):
    """An option that belongs to a section of ``--help``.

    Parameters
    ----------
    section : str
        Heading of the section.
    keyword : str
        What stands for the option in Python; empty if nothing does.
    more : str
        What the docs say of the option besides its help.
    kind : Kind, optional
        How its values are read and checked, where a class declares it.
    other_names : tuple of str
        Names of fields that it has elsewhere or had before; they are refused with the flag.
    """

    def __init__(
        self,
        *args: Any,
        section: str,
        keyword: str = "",
        more: str = "",
        kind: Kind | None = None,
        other_names: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        self.keyword = keyword
        self.more = more
        self.kind = kind
        self.other_names = other_names


class WithExamples(click.Command):
    """A command or a group of commands, with examples at the end of ``--help``.

    Parameters
    ----------
    examples : str
        Lines that a user types, each with an indented sentence below that says what it does.
    """

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Each command states them, because click keeps the option that it first made.
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        lines = inspect.cleandoc(examples).splitlines()
        self.examples = dict(zip(lines[::2], map(str.strip, lines[1::2])))

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed, without wrapping them."""
        if self.examples:
            with formatter.section("Examples"):
                for line, meaning in self.examples.items():
                    formatter.write(f"  {line}\n      {meaning}\n")


class ExampleGroup(WithExamples, click.Group):
    """A group of commands with examples."""


class SectionedCommand(WithExamples):
    """A command with options in sections."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of a command line; an option under another name is refused with its own.

        Raises
        ------
        NoSuchOption
            Of click, for an option that the command does not have.
        """
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name.lstrip("-").replace("-", "_")
            for param in self.params:
                if name in getattr(param, "other_names", ()):
                    message = f"No such option {error.option_name!r}. Its name is {param.opts[0]}."
                    raise click.NoSuchOption(error.option_name, message, ctx=ctx) from error
            raise

    def sections(self, context: click.Context) -> dict[str, list[click.Option]]:
        """The options by section, in the order of ``--help``; hidden ones are left out."""
        shown = [
            param
            for param in self.get_params(context)
            if isinstance(param, click.Option) and not param.hidden
        ]
        named = [getattr(one, "section", MESSAGES) for one in shown]
        middle = [name for name in named if name not in (*_FIRST, *_LAST)]
        ordered = dict.fromkeys((*_FIRST, *middle, *_LAST))
        return {
            section: [one for one, its in zip(shown, named) if its == section]
            for section in ordered
            if section in named
        }

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a table for each section, all with the same width of the first column."""
        for section, options in self.sections(context).items():
            with formatter.section(section):
                formatter.write_dl(list(_rows(options, context)), col_max=_WIDEST_NAME)


def _rows(options: list[click.Option], context: click.Context) -> Iterator[tuple[str, str]]:
    for option in options:
        record = option.get_help_record(context)
        if record is not None:
            # Padded, because click takes the width of the widest name in a section.
            yield record[0].ljust(_WIDEST_NAME), record[1]
