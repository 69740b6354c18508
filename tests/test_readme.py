"""The first page and its pages: programs run, options and files are there."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import click
import distributed
import pytest
from bigunet_cli.main import cli

import bigunet

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*")
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs_of_the_readme_run(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_image: Any, client: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert callable(bigunet.segment)  # Imported before what it imports is replaced.
    monkeypatch.setattr(distributed, "Client", lambda: contextlib.nullcontext(client))
    write_image(Path("image.zarr"), shape=(64, 60))
    exec(PROGRAMS[number], {"__name__": "__main__"})
    written = re.findall(r'"image\.zarr", "(\w+\.zarr)"', PROGRAMS[number])
    assert all((tmp_path / name / "labels/classes/0").is_dir() for name in written)


def options_of(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    if command is cli:
        inner = [cli.get_command(click.Context(cli), name) for name in cli.list_commands(None)]
    own = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    return own.union(*(options_of(one) for one in inner)) | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_options_and_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text()
    assert set(OPTION.findall(text)) <= options_of(cli)
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link
