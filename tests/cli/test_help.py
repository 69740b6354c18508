"""What ``--help`` and the page of options say, and how they are laid out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from bigunet_cli.main import cli
from bigunet_cli.options_page import page

PAGE = Path(__file__).parents[2] / "docs" / "options.md"
_HEADING = re.compile(r"^(\S.*):$", re.MULTILINE)


def commands() -> list[str]:
    context = click.Context(cli)
    names = [name for name in cli.list_commands(context) if name != "jobs"]
    return [*names, "jobs slurm"]


def options_in(text: str) -> list[str]:
    return re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "sections"),
    [
        (
            "segment",
            "Image, Plate, Network, Grey values, Objects, Blocks and memory, Output, "
            "Begin or go on, Workers, Jobs of a batch system, Options from a file, Messages, "
            "Examples",
        ),
        (
            "plan",
            "Image, Network, Grey values, Objects, Blocks and memory, Output, Options from a file, "
            "Messages, Examples",
        ),
        (
            "evaluate",
            "Images and labels, Scores, Objects, Boundaries, Options from a file, Messages, "
            "Examples",
        ),
    ],
)
def test_options_of_one_subject_stand_together(bigunet: Any, command: str, sections: str) -> None:
    assert ", ".join(_HEADING.findall(bigunet(command, "--help").out)) == sections


def test_a_section_has_its_options_and_no_others(bigunet: Any) -> None:
    text = bigunet("segment", "--help").out
    network = text.partition("\nNetwork:\n")[2].partition("\n\n")[0]
    expected = "--model --trust --halo --blend --precision --device --backend --convolution --tta"
    assert options_in(network) == expected.split()


@pytest.mark.parametrize("command", commands())
def test_help_lists_each_option_once_with_a_text_in_one_column(bigunet: Any, command: str) -> None:
    text = bigunet(*command.split(), "--help").out
    options = options_in(text)
    assert len(set(options)) == len(options)
    assert options[-1] == "--help"
    starts = {
        len(line) - len(line.lstrip()) for line in text.splitlines() if line.startswith(" " * 20)
    }
    assert starts <= {30}
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("command", commands())
def test_the_page_has_each_option_of_each_command(bigunet: Any, command: str) -> None:
    part = page().partition(f"## bigunet {command}\n")[2].partition("\n## ")[0]
    for section in re.findall(r"all of ([A-Z][a-z ]+)", part):
        own = page().partition("## bigunet segment\n")[2].partition("\n## ")[0]
        part += own.partition(f"### {section}\n")[2].partition("\n### ")[0]
    shown = options_in(bigunet(*command.split(), "--help").out)
    missing = {option for option in shown if f"`{option}`" not in part}
    assert missing == {"--help"}


def test_the_page_says_what_the_options_say() -> None:
    assert PAGE.read_text() == page(), (
        "write it anew: python -m bigunet_cli.options_page >docs/options.md"
    )


def test_a_row_has_flag_values_keyword_default_and_meaning() -> None:
    row = next(line for line in page().splitlines() if line.startswith("| `--ome-version` |"))
    assert row == (
        "| `--ome-version` | `auto`, `0.4`, `0.5`, `0.6` | `ome_version` | auto | OME-Zarr "
        "version of the output. auto takes 0.5, or the version of the image for labels inside it. |"
    )
    assert "| `--job-memory` | `SIZE` | `JobSpec(memory_bytes=…)` |" in page()
